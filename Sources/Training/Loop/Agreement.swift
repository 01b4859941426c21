package import Collectives

/// Phases that all ranks enter together and leave together, with the same result or the same failure.
extension Communicator {
    /// Runs `body` on every rank. When it throws on any, all ranks throw the same `TrainingFailure`, which names each
    /// rank's reason; equal reasons are given once. A `CollectiveError` cannot be agreed upon, and is thrown as it is.
    package func together<Result>(_ body: () throws -> Result) throws -> Result {
        var outcome: Result?
        var failure: String?
        var exitCode: Int32 = 1
        do {
            outcome = try body()
        } catch let error as CollectiveError {
            throw error
        } catch let error as TrainingFailure {
            failure = error.description
            exitCode = error.exitCode
        } catch {
            failure = "\(error)"
        }
        try throwAgreed(failure, exitCode: exitCode)
        return outcome!
    }

    /// Throws the same failure on all ranks when any rank has one.
    package func throwAgreed(_ failure: String?, exitCode: Int32 = 1) throws {
        let failures = try agree(failure)
        guard !failures.isEmpty else { return }
        let code = try Int32(maximum(failure == nil ? 0 : Double(exitCode)))
        let reasons = Set(failures.map(\.message))
        if reasons.count == 1 { throw TrainingFailure(Self.lines(failures[0].message), exitCode: code) }
        throw TrainingFailure(
            failures.flatMap { failure in Self.lines(failure.message).map { "rank \(failure.rank): \($0)" } },
            exitCode: code)
    }

    private static func lines(_ message: String) -> [String] {
        message.split(whereSeparator: \.isNewline).map(String.init)
    }

    /// A text known to rank 0, on all ranks.
    func broadcast(_ text: String?) throws -> String {
        let bytes = try allgather(rank == 0 ? Array((text ?? "").utf8) : [])
        return String(decoding: bytes[0], as: UTF8.self)
    }
}
