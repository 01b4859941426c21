import Glibc
import System
import Testing

@Suite(.timeLimit(.minutes(1))) struct StorageRetryTests {
    private struct Failure: Error, Equatable {
        let code: Int32
    }

    /// Fails by `codes` in turn, then succeeds; returns the number of tries.
    private func tries(_ codes: [Int32]) throws -> Int {
        var count = 0
        return try StorageRetry.run(code: { ($0 as Failure).code }) { () throws(Failure) in
            count += 1
            if count <= codes.count { throw Failure(code: codes[count - 1]) }
            return count
        }
    }

    @Test(arguments: [EIO, ESTALE, ETIMEDOUT, EMFILE, ENFILE, ENOMEM, EAGAIN, ECONNRESET, EHOSTDOWN])
    func aFaultOfAServerMayPass(code: Int32) throws {
        #expect(StorageRetry.mayPass(code))
    }

    @Test(arguments: [ENOENT, EACCES, EPERM, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, ENXIO, EROFS])
    func whatAPathIsDoesNot(code: Int32) throws {
        #expect(!StorageRetry.mayPass(code))
        #expect(throws: Failure(code: code)) { try tries([code]) }
    }

    @Test func theSecondOrTheThirdTryMaySucceed() throws {
        let start = Stopwatch.now
        #expect(try tries([]) == 1)
        #expect(Stopwatch.now - start < 0.5)
        #expect(try tries([ESTALE]) == 2)
        #expect(try tries([ESTALE, EIO]) == 3)
        // 1 s, then 1 s and 4 s.
        #expect(Stopwatch.now - start >= 5.9)
    }

    @Test func theThirdFailureIsTold() throws {
        #expect(throws: Failure(code: ENOMEM)) { try tries([EIO, EIO, ENOMEM]) }
        // Final as soon as it is: no third try.
        #expect(throws: Failure(code: ENOENT)) { try tries([EIO, ENOENT, EIO]) }
    }
}
