import Glibc

/// What the kernel says about this process's time on processors.
package enum ProcessorTime {
    /// Seconds that all threads of this process had a processor (getrusage).
    package static func used() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// Seconds in which the main thread was able to run but had no processor (/proc/self/schedstat, second field); nil: not known.
    package static func waited() -> Double? {
        guard let text = MachineFiles.text("/proc/self/schedstat") else { return nil }
        let fields = text.split(whereSeparator: \.isWhitespace)
        return fields.count >= 2 ? Double(fields[1]).map { $0 * 1e-9 } : nil
    }

    /// Processors' worth of time that the control group allows (cpu.max); nil: no limit is seen.
    package static func limit() -> Double? {
        let fields = (MachineFiles.text("/sys/fs/cgroup/cpu.max") ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
        if fields.count == 2, let quota = Double(fields[0]), let period = Double(fields[1]), period > 0 { return quota / period }
        if let quota = MachineFiles.number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), quota > 0,
            let period = MachineFiles.number("/sys/fs/cgroup/cpu/cpu.cfs_period_us"), period > 0
        {
            return Double(quota) / Double(period)
        }
        return nil
    }

    /// What to say where a node's threads have less time than that of a processor each.
    /// - Parameters:
    ///   - threads: of each of the node's `ranks`.
    ///   - limit: what `limit()` gives.
    package static func warning(threads: Int, ranks: Int, limit: Double?) -> String? {
        guard let limit, limit < 0.95 * Double(threads * ranks) else { return nil }
        let fit = Int(limit) / ranks
        return "\(threads * ranks) threads share the time of \(Double(Int(limit * 10)) / 10) processors, a limit of the container or job, so they "
            + "take turns; hint: --threads \(max(1, fit))" + (fit < 1 ? " and fewer ranks" : "") + ", or a higher limit (docker run --cpus)"
    }
}
