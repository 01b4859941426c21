import Glibc
import System
import Telemetry

/// Whether checkpoints can be written where runs go, and how fast.
enum DiskCheck {
    private static let probeBytes = 64 << 20
    /// A checkpoint of the full network.
    private static let checkpointBytes = 1_900 << 20

    static func finding(_ directory: String) -> Finding {
        guard let space = MachineFiles.space(directory) else {
            return .problem("disk", "\(directory): \(String(cString: strerror(errno)))", cure: "a directory that is there")
        }
        guard space.free > 2 * probeBytes else {
            return .problem("disk", "\(directory): \(MachineFiles.words(space.free)) are free", cure: "free some, or --run-dir on another disk")
        }
        let path = "\(directory)/.dtrain-doctor-\(getpid())"
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            return .problem("disk", "\(directory) cannot be written: \(String(cString: strerror(errno)))", cure: "--run-dir where you may write")
        }
        unlink(path)
        defer { close(file) }
        let block = [UInt8](repeating: 0xA5, count: 1 << 20)
        let start = Stopwatch.now
        for _ in 0..<probeBytes / block.count {
            guard write(file, block, block.count) == block.count else {
                return .problem("disk", "\(directory): \(String(cString: strerror(errno)))", cure: "free some, or --run-dir on another disk")
            }
        }
        fsync(file)
        let rate = Double(probeBytes) / max(1e-6, Stopwatch.now - start)
        let words = "\(directory) takes " + format("%.0f MB/s", rate * 1e-6) + ", \(MachineFiles.words(space.free)) are free"
        if space.free < 4 * checkpointBytes {
            return .note(
                "disk", "\(words); a checkpoint of --preset seed takes 1.9 GB", cure: "--keep-checkpoints 1, --preset shallow, or another disk")
        }
        if rate < 50e6 {
            return .note(
                "disk", "\(words): a checkpoint of --preset seed takes " + format("%.0f s", Double(checkpointBytes) / rate),
                cure: "a local disk for --run-dir, or a larger --checkpoint-every")
        }
        return .ok("disk", words)
    }
}
