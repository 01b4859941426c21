import Foundation
import Synchronization
import System
import Testing

@Suite("Processors")
struct ProcessorsTests {
    /// Runs `body` on a thread of its own, so that pinning leaves the test's threads alone.
    private func onOwnThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value {
        let result = Mutex<Value?>(nil)
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            let value = body()
            result.withLock { $0 = value }
            done.signal()
        }
        thread.start()
        done.wait()
        return result.withLock { $0! }
    }

    @Test("the allowed processors are some, ascending, each once")
    func allowed() {
        let allowed = Processors.allowed()
        #expect(!allowed.isEmpty)
        #expect(allowed == Array(Set(allowed)).sorted())
        #expect(allowed.allSatisfy { $0 >= 0 })
    }

    @Test("a pinned thread may run on its processor only; others are not touched")
    func pinning() {
        let before = Processors.allowed()
        for processor in before {
            #expect(
                onOwnThread {
                    Processors.pin(to: processor)
                    return Processors.allowed()
                } == [processor])
        }
        #expect(Processors.allowed() == before)
    }

    @Test("restricting to several processors and back")
    func restricting() {
        let before = Processors.allowed()
        let some = Array(before.prefix(2))
        let (within, after) = onOwnThread {
            Processors.restrict(to: some)
            let within = Processors.allowed()
            Processors.restrict(to: before)
            return (within, Processors.allowed())
        }
        #expect(within == some)
        #expect(after == before)
    }

    @Test("a processor that is not there is refused without harm")
    func refused() {
        let before = Processors.allowed()
        #expect(
            onOwnThread {
                Processors.pin(to: 8000)
                Processors.pin(to: 1 << 40)
                return Processors.allowed()
            } == before)
    }

    @Test("the model has a name, and this build runs here")
    func model() {
        #expect(!Processors.modelName.isEmpty)
        #expect(Processors.missingFeatures().isEmpty)
    }
}
