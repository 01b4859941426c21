package import Collectives
import Glibc
import Telemetry

/// Memory asked of a node against what it has, before anything is allocated.
package enum MemoryCheck {
    /// Throws on all ranks when the ranks of some node need more than it has.
    /// - Parameter needed: bytes this rank will hold.
    package static func run(needed: Int, communicator: any Communicator) throws {
        let place = communicator.place
        let report = "\(place.node) \(needed) \(available() ?? Int.max) \(place.host)"
        var nodes: [Int: (needed: Int, available: Int, ranks: Int, host: String)] = [:]
        for text in try communicator.allgather(Array(report.utf8)) {
            let fields = String(decoding: text, as: UTF8.self).split(separator: " ", maxSplits: 3)
            let (node, bytes, free) = (Int(fields[0])!, Int(fields[1])!, Int(fields[2])!)
            let sofar = nodes[node] ?? (0, Int.max, 0, String(fields[3]))
            nodes[node] = (sofar.needed + bytes, min(sofar.available, free), sofar.ranks + 1, sofar.host)
        }
        for (_, node) in nodes.sorted(by: { $0.key < $1.key }) where node.needed > node.available {
            throw TrainingFailure(
                "not enough memory on \(node.host): \(node.ranks == 1 ? "1 rank needs" : "\(node.ranks) ranks need") "
                    + "\(gigabytes(node.needed)), \(gigabytes(node.available)) are available; "
                    + "hint: fewer ranks a node, a smaller --batch-size or --cache, or --preset shallow")
        }
    }

    /// Bytes this process can still take: what the kernel calls available, within the limits of its control group and of
    /// its address space.
    package static func available() -> Int? {
        var limits: [Int] = []
        if let line = lines(of: "/proc/meminfo").first(where: { $0.hasPrefix("MemAvailable:") }),
            let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        {
            limits.append(kilobytes << 10)
        }
        for group in controlGroups() {
            if let most = lines(of: group.limit).first.flatMap({ Int($0) }),
                let used = lines(of: group.use).first.flatMap({ Int($0) })
            {
                limits.append(max(0, most - max(0, used - (reclaimable(group) ?? 0))))
            }
        }
        var addressSpace = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &addressSpace) == 0, addressSpace.rlim_cur < UInt(Int.max) {
            let mapped = lines(of: "/proc/self/statm").first?.split(separator: " ").first.flatMap { Int($0) } ?? 0
            limits.append(max(0, Int(addressSpace.rlim_cur) - mapped * sysconf(Int32(_SC_PAGESIZE))))
        }
        return limits.min()
    }

    /// Files that tell of a control group.
    private struct ControlGroup {
        let limit, use, statistics, inactiveFile: String
    }

    /// Bytes of a control group's use that are copies of files, which the kernel drops when memory is asked for.
    private static func reclaimable(_ group: ControlGroup) -> Int? {
        lines(of: group.statistics).first { $0.hasPrefix(group.inactiveFile + " ") }
            .flatMap { $0.split(separator: " ").last }.flatMap { Int($0) }
    }

    /// This process's control group and its parents: version 2, then version 1.
    private static func controlGroups() -> [ControlGroup] {
        var groups: [ControlGroup] = []
        for line in lines(of: "/proc/self/cgroup") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3 else { continue }
            let isUnified = fields[1].isEmpty
            guard isUnified || fields[1].split(separator: ",").contains("memory") else { continue }
            let root = isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
            var path = fields[2]
            while true {
                let folder = root + (path == "/" ? "" : path)
                groups.append(
                    ControlGroup(
                        limit: "\(folder)/memory.\(isUnified ? "max" : "limit_in_bytes")",
                        use: "\(folder)/memory.\(isUnified ? "current" : "usage_in_bytes")",
                        statistics: "\(folder)/memory.stat",
                        inactiveFile: isUnified ? "inactive_file" : "total_inactive_file"))
                guard path != "/", let slash = path.lastIndex(of: "/") else { break }
                path = slash == path.startIndex ? "/" : String(path[..<slash])
            }
        }
        return groups
    }

    private static func lines(of path: String) -> [String] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var result: [String] = []
        var buffer = [CChar](repeating: 0, count: 1024)
        while fgets(&buffer, Int32(buffer.count), file) != nil {
            result.append(
                String(decoding: buffer.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
        }
        return result
    }

    static func gigabytes(_ bytes: Int) -> String { format("%.2f GB", Double(bytes) * 1e-9) }
}
