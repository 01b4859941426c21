import Glibc

/// Why no thread could be started.
package struct ThreadError: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Threads that run one body each, joined with `join` or with their owner.
package final class ThreadGroup {
    private var threads: [pthread_t] = []

    /// Threads that were started and not joined.
    package var count: Int { threads.count }

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts `count` threads with all signals blocked: signals are the main thread's business.
    ///
    /// `body` is told the thread's number. Fewer threads start where the system refuses more.
    /// - Throws: `ThreadError` if not even one can be started.
    package init(count: Int, body: @escaping @Sendable (Int) -> Void) throws(ThreadError) {
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var code: Int32 = 0
        for number in 0..<max(count, 1) {
            let context = Unmanaged.passRetained(Body { body(number) })
            var thread = pthread_t()
            code = pthread_create(
                &thread, nil,
                { context in
                    Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
                    return nil
                }, context.toOpaque())
            guard code == 0 else {
                context.release()
                break
            }
            threads.append(thread)
        }
        if threads.isEmpty {
            throw ThreadError(
                description: "cannot start a thread: \(String(cString: strerror(code))); "
                    + "hint: ulimit -u limits their number, ulimit -v the memory of their stacks")
        }
    }

    /// Waits until all have ended.
    package func join() {
        for thread in threads { pthread_join(thread, nil) }
        threads = []
    }

    deinit { join() }
}
