import Glibc
import Telemetry

/// Small files of /proc and /sys.
enum MachineFiles {
    /// The first bytes of a file as text; nil where it cannot be read.
    static func text(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// The whole number in a file.
    static func number(_ path: String) -> Int? { text(path).flatMap { Int($0.split(whereSeparator: \.isWhitespace).first ?? "") } }

    /// Bytes free and in all of the file system that a path is on (statvfs(3)).
    static func space(_ path: String) -> (free: Int, total: Int)? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return (Int(status.f_bavail) * Int(status.f_frsize), Int(status.f_blocks) * Int(status.f_frsize))
    }

    static func words(_ bytes: Int) -> String {
        bytes < 1 << 30 ? "\(bytes >> 20) MiB" : format("%.1f GiB", Double(bytes) / Double(1 << 30))
    }
}
