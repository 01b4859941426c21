import Glibc

/// A thread that computes one value. A real one, as ranks block, and the pool of Swift's tasks must not be blocked.
final class RankThread<Value: Sendable> {
    private final class Outcome {
        var result: Result<Value, any Error>?
    }

    private let outcome = Outcome()
    private var thread = pthread_t()

    /// Starts the thread.
    init(_ body: @escaping @Sendable () throws -> Value) {
        let outcome = outcome
        let start = ThreadStart { outcome.result = Result(catching: body) }
        let status = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        precondition(status == 0, "no thread for a simulated rank: \(String(cString: strerror(status)))")
    }

    /// Waits for the thread's end. To be called once.
    func join() -> Result<Value, any Error> {
        pthread_join(thread, nil)
        return outcome.result!
    }
}

/// What a C thread function can be handed.
private final class ThreadStart {
    let run: () -> Void

    init(_ run: @escaping () -> Void) { self.run = run }
}
