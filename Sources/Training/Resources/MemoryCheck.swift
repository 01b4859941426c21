package import Collectives
import Glibc
import Telemetry

/// Memory asked of a node against what it has, before anything is allocated.
package enum MemoryCheck {
    /// Throws on all ranks when the ranks of some node need more than it has, or one more addresses than its limit allows.
    /// - Parameters:
    ///   - needed: bytes this rank will hold.
    ///   - threads: of this rank, each with a stack and a buffer of OpenBLAS.
    package static func run(needed: Int, threads: Int = 1, communicator: any Communicator) throws {
        try requireAddresses(needed: needed, threads: threads, communicator: communicator)
        let place = communicator.place
        let report = "\(place.node) \(needed) \(onNode().min() ?? Int.max) \(place.host)"
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

    /// Whether the ranks of each node can take so much more, all together and the same on all ranks.
    /// - Parameters:
    ///   - needed: bytes this rank would take; nil: it cannot, whatever there is.
    ///   - promised: bytes that the ranks of this node will yet take besides.
    static func hasRoom(for needed: Int?, promised: Int, communicator: any Communicator) throws -> Bool {
        let place = communicator.place
        let spare = (available() ?? Int.max / 2) - promised - spareOfNode
        let own = "\(place.node) \(needed ?? Int.max / 2 / communicator.size) \(spare)"
        var nodes: [Int: (needed: Int, spare: Int)] = [:]
        for text in try communicator.allgather(Array(own.utf8)) {
            let fields = String(decoding: text, as: UTF8.self).split(separator: " ").map { Int($0)! }
            let sofar = nodes[fields[0]] ?? (0, Int.max)
            nodes[fields[0]] = (sofar.needed + fields[1], min(sofar.spare, fields[2]))
        }
        return nodes.values.allSatisfy { $0.needed <= $0.spare }
    }

    /// Left to the others on a node when memory is taken that a run can do without, bytes.
    static let spareOfNode = 256 << 20

    /// Address space that OpenBLAS takes for each thread that multiplies. Where it is refused, OpenBLAS asks for ever.
    private static let bufferBytes = 128 << 20
    /// Address space of what the program and its libraries take by and by.
    private static let otherBytes = 48 << 20
    /// Address space of a thread's stack: the limit of stacks, 2 MiB where there is none (pthread_create(3)).
    private static var stackBytes: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &limit) == 0, limit.rlim_cur < UInt(1 << 40) else { return 2 << 20 }
        return Int(limit.rlim_cur)
    }

    /// How many threads this process has addresses for; 1 at least.
    /// - Parameter needed: bytes this rank will hold.
    static func threads(holding needed: Int) -> Int {
        addressSpace().map { max(1, ($0 - needed - otherBytes) / (bufferBytes + stackBytes)) } ?? Int.max
    }

    /// Throws on all ranks when one lacks addresses (RLIMIT_AS).
    private static func requireAddresses(needed: Int, threads: Int, communicator: any Communicator) throws {
        var problem: String?
        let total = needed + threads * (bufferBytes + stackBytes) + otherBytes
        if let free = addressSpace(), free < total {
            problem =
                "not enough memory on \(communicator.place.host): rank \(communicator.rank) needs \(gigabytes(total)) of address "
                + "space for \(threads) thread\(threads == 1 ? "" : "s"), \(gigabytes(free)) are available under the limit of the process; "
                + "hint: raise it (ulimit -v, h_vmem of Grid Engine, pvmem of PBS), or fewer --threads, a smaller --batch-size or --cache"
        }
        try communicator.throwAgreed(problem)
    }

    /// Bytes this process can still take: what the kernel calls available, within the limits of its control group and of
    /// its address space.
    package static func available() -> Int? { (onNode() + [addressSpace()].compactMap { $0 }).min() }

    /// Bytes of addresses that this process may still take; nil: no limit.
    private static func addressSpace() -> Int? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur < UInt(Int.max) else { return nil }
        let mapped = lines(of: "/proc/self/statm").first?.split(separator: " ").first.flatMap { Int($0) } ?? 0
        return max(0, Int(limit.rlim_cur) - mapped * sysconf(Int32(_SC_PAGESIZE)))
    }

    /// What the kernel calls available, and what is left within the limits of the control groups.
    private static func onNode() -> [Int] {
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
        return limits
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
