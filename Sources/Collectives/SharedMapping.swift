import CLinux
import Glibc

/// Memory that the ranks of a node share: one part a rank, every part mapped by all of them.
///
/// A file in memory (memfd_create) that the others open through /proc, as the size of /dev/shm (64 MB in many containers)
/// does not bound it; where /proc does not lead to it, a file in /dev/shm. Each rank reserves the pages of its own part, so
/// that they lie in its own memory bank and a lack of memory is found here.
final class SharedMapping {
    /// Where the parts begin, by local rank.
    let parts: [UnsafeMutableRawPointer]
    private let base: UnsafeMutableRawPointer
    private let bytes: Int

    private static let page = 4096

    private init(base: UnsafeMutableRawPointer, bytes: Int, parts: Int) {
        self.base = base
        self.bytes = bytes
        self.parts = (0..<parts).map { base + Self.page + $0 * ((bytes - Self.page) / parts) }
    }

    deinit { munmap(base, bytes) }

    /// Maps at least `partBytes` zero bytes for each rank of `node`; all of them call it.
    ///
    /// - Parameter kinds: what to try, in this order.
    /// - Returns: nil when any rank could not map it, and why; then no rank of the node has it.
    static func make(
        partBytes: Int, node: MPIGroup, kinds: [SharedMemoryKind]
    ) throws(CollectiveError) -> (mapping: SharedMapping?, problem: String?) {
        let part = (max(partBytes, 1) + page - 1) / page * page
        var problem: String?
        for kind in kinds {
            let result = try attempt(kind, part: part, node: node)
            if let mapping = result.mapping { return (mapping, nil) }
            problem = result.problem ?? problem
        }
        return (nil, problem)
    }

    private static func attempt(
        _ kind: SharedMemoryKind, part: Int, node: MPIGroup
    ) throws(CollectiveError) -> (mapping: SharedMapping?, problem: String?) {
        let bytes = page + node.size * part
        var (file, problem) = (Int32(-1), nil as String?)
        // The first rank's process number, the file's, and a number that tells this file from all others.
        var record: [Int] = [Int(getpid()), -1, Int(truncatingIfNeeded: UInt64.random(in: 1...UInt64.max))]
        if node.rank == 0 {
            (file, problem) = create(kind, pid: record[0], nonce: record[2], bytes: bytes)
            record[1] = Int(file)
        }
        record = try node.broadcast(numbers: record)
        if record[1] < 0 { return (nil, try agree(problem, node: node)) }
        if node.rank != 0 { file = open(kind, record: record) }
        if file < 0 {
            // Nothing was called since that could have changed errno.
            problem = "cannot open the memory of rank 0 of the node: \(String(cString: strerror(errno)))"
        } else if !isRight(file, nonce: record[2], bytes: bytes) {
            problem = "the ranks of the node do not see the same memory"
        }
        if problem == nil, dtrain_reserve(file, page + node.rank * part, part) != 0 {
            problem = "no room for \(part >> 20) MiB of shared memory: \(String(cString: strerror(errno)))"
        }
        problem = try agree(problem, node: node)
        if kind == .file && node.rank == 0 { shm_unlink(name(record)) }
        defer { if file >= 0 { close(file) } }
        if problem != nil { return (nil, problem) }

        let base = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0)
        let mapping = base.flatMap { $0 == MAP_FAILED ? nil : SharedMapping(base: $0, bytes: bytes, parts: node.size) }
        problem = try agree(mapping == nil ? "cannot map shared memory" : nil, node: node)
        return (problem == nil ? mapping : nil, problem)
    }

    /// - Returns: the file, or -1 and why there is none.
    private static func create(_ kind: SharedMemoryKind, pid: Int, nonce: Int, bytes: Int) -> (file: Int32, problem: String?) {
        let file: Int32
        switch kind {
        case .memory:
            file = dtrain_memory_file("dtrain")
            if file >= 0 { fchmod(file, 0o600) }
        case .file: file = shm_open(name([pid, 0, nonce]), O_CREAT | O_EXCL | O_RDWR, 0o600)
        }
        var nonce = nonce
        if file >= 0 && ftruncate(file, bytes) == 0 && pwrite(file, &nonce, 8, 0) == 8 { return (file, nil) }
        // Before anything else that sets errno.
        let problem = "cannot make shared memory: \(String(cString: strerror(errno)))"
        if file >= 0 { close(file) }
        return (-1, problem)
    }

    /// Whether it is the file that rank 0 made: where process numbers differ between ranks (containers), /proc may lead to
    /// another, which is none of ours to touch. Nor is another user's.
    private static func isRight(_ file: Int32, nonce: Int, bytes: Int) -> Bool {
        var (status, seen) = (stat(), 0)
        return fstat(file, &status) == 0 && status.st_uid == geteuid() && status.st_mode & 0o077 == 0 && status.st_size == bytes
            && pread(file, &seen, 8, 0) == 8 && seen == nonce
    }

    private static func open(_ kind: SharedMemoryKind, record: [Int]) -> Int32 {
        switch kind {
        case .memory: Glibc.open("/proc/\(record[0])/fd/\(record[1])", O_RDWR | O_CLOEXEC)
        case .file: shm_open(name(record), O_RDWR, 0)
        }
    }

    private static func name(_ record: [Int]) -> String { "/dtrain-\(record[0])-\(UInt(bitPattern: record[2]))" }

    /// The first problem of any rank of the node, on all of them.
    private static func agree(_ problem: String?, node: MPIGroup) throws(CollectiveError) -> String? {
        let length = 200
        let text = Array((problem ?? "").utf8.prefix(length))
        return try node.allgather(record: text + [UInt8](repeating: 0, count: length - text.count))
            .map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            .first { !$0.isEmpty }
    }
}

/// Where shared memory can come from.
enum SharedMemoryKind {
    /// An anonymous file in memory.
    case memory
    /// A file in /dev/shm.
    case file
}
