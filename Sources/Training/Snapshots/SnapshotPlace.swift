import Checkpoints
import Glibc

/// Which directory of a node's memory file system a start of a run keeps its snapshots in.
///
/// `RUN/snapshots` names the run and its newest start, two random numbers. A start alone goes by snapshots of the one before: a node
/// that was away may still hold some of an earlier one, of a course that the run left.
struct SnapshotPlace: Equatable {
    /// 16 hexadecimal digits each.
    let run, start: String

    static let prefix = "dtrain-snapshot-"
    /// Snapshots of a run that nobody went on with go after so many seconds, when another run begins on the node.
    private static let lifetime = 86_400

    /// The node's memory file system.
    static var root: String { getenv("DTRAIN_SNAPSHOT_ROOT").map { String(cString: $0) } ?? "/dev/shm" }

    var path: String { "\(Self.root)/\(Self.prefix)\(run)-\(start)" }

    private static func random() -> String {
        let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private init(run: String, start: String) { (self.run, self.start) = (run, start) }

    /// Reads what `text` writes; nil for anything else.
    init?(_ text: String) {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == 4, words[0] == "run", words[2] == "start",
            [words[1], words[3]].allSatisfy({ $0.utf8.count == 16 && $0.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) } })
        else { return nil }
        self.init(run: words[1], start: words[3])
    }

    var text: String { "run \(run)\nstart \(start)\n" }

    /// A place for a start of the run that `before` is of.
    static func next(after before: SnapshotPlace?) -> SnapshotPlace {
        SnapshotPlace(run: before?.run ?? random(), start: random())
    }

    /// What a run directory names; nil where it names none.
    static func read(run directory: String) -> SnapshotPlace? {
        let descriptor = open("\(directory)/snapshots", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return SnapshotPlace(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self))
    }

    /// Whether the directory is there, and this user's alone (`lstat(2)`).
    var isOwn: Bool { Self.isOwn(path) }

    private static func isOwn(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid() && status.st_mode & 0o077 == 0
    }

    /// Removes this run's snapshots from the node, and old ones of runs that nobody went on with.
    func clear() {
        for name in (try? Directories.names(in: Self.root)) ?? [] where name.hasPrefix(Self.prefix) {
            let path = "\(Self.root)/\(name)"
            var status = stat()
            guard Self.isOwn(path), lstat(path, &status) == 0 else { continue }
            // A living run touches its directory with each snapshot.
            let isOld = time(nil) - status.st_mtim.tv_sec > Self.lifetime
            if name.hasPrefix(Self.prefix + run) || isOld { try? Directories.remove(path) }
        }
    }
}
