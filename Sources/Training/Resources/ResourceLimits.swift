import Glibc
import System

/// Limits of the process (`ulimit`) that would end a run without a word, or without saving.
package enum ResourceLimits {
    /// Open files: what MPI needs at least, and what is enough for many ranks.
    private static let leastFiles: UInt = 24
    private static let enoughFiles: UInt = 4096
    /// Seconds of each processor to save in, where processor time is limited.
    private static let secondsToSave: UInt = 30

    /// Raises what may be raised, and asks for a signal before the processor time is over. To be called before MPI is started.
    /// - Parameter isAlone: there will be no MPI.
    /// - Returns: one line when the run cannot begin.
    package static func prepare(isAlone: Bool) -> String? {
        let files = raise(RLIMIT_NOFILE, to: enoughFiles)
        if files < leastFiles && !isAlone {
            return "\(files) open files are allowed, which is too few for MPI; hint: raise the limit (ulimit -n 1024)"
        }
        warnBeforeProcessorTimeEnds()
        return nil
    }

    /// At the hard limit the kernel kills at once. Where no signal comes before (`ulimit -t` sets both limits), SIGXCPU is
    /// made to, so that the run is saved.
    private static func warnBeforeProcessorTimeEnds() {
        guard var limit = get(RLIMIT_CPU), limit.rlim_max < UInt(Int.max), limit.rlim_cur >= limit.rlim_max else { return }
        let margin = min(secondsToSave * UInt(max(1, Processors.allowed().count)), limit.rlim_max / 2)
        limit.rlim_cur = limit.rlim_max - margin
        setrlimit(__rlimit_resource_t(RLIMIT_CPU.rawValue), &limit)
    }

    /// - Returns: what is allowed then.
    private static func raise(_ resource: __rlimit_resource, to wish: UInt) -> UInt {
        guard var limit = get(resource) else { return wish }
        if limit.rlim_cur < wish && limit.rlim_cur < limit.rlim_max {
            let before = limit.rlim_cur
            limit.rlim_cur = min(wish, limit.rlim_max)
            if setrlimit(__rlimit_resource_t(resource.rawValue), &limit) != 0 { return before }
        }
        return limit.rlim_cur
    }

    private static func get(_ resource: __rlimit_resource) -> rlimit? {
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 ? limit : nil
    }
}
