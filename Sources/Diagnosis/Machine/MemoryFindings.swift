import Glibc

/// Memory: what there is, huge pages, memory that ranks of a node share, limits.
enum MemoryFindings {
    /// What a rank of the full network takes, and of the smallest preset.
    private static let (full, small) = (2_600 << 20, 400 << 20)

    /// - Parameter available: bytes that this process can take, the limits of its control group included; nil: not known.
    static func findings(available: Int?, localRanks: Int) -> [Finding] {
        var findings: [Finding] = []
        if let available {
            let words = "\(MachineFiles.words(available)) are available"
            if available < small * localRanks {
                findings.append(
                    .problem(
                        "memory", "\(words), and a rank of the smallest preset takes some \(small >> 20) MiB", cure: "fewer ranks, or another node"))
            } else if available < full * localRanks {
                findings.append(
                    .note(
                        "memory", "\(words); a rank of --preset seed takes some \(MachineFiles.words(full))",
                        cure: "--preset shallow or dtrain-hand, or fewer ranks"))
            } else {
                findings.append(.ok("memory", words))
            }
        }
        findings.append(hugePages())
        findings.append(sharedMemory(localRanks))
        return findings
    }

    private static func hugePages() -> Finding {
        let path = "/sys/kernel/mm/transparent_hugepage/enabled"
        guard let text = MachineFiles.text(path) else {
            return .note("huge pages", "\(path) cannot be read", cure: "nothing, if steps are as fast as dtrain bench step says")
        }
        guard text.contains("[never]") else { return .ok("huge pages", "transparent huge pages can be had") }
        return .note("huge pages", "transparent huge pages are off: large weights are read more slowly", cure: "echo madvise > \(path), as root")
    }

    private static func sharedMemory(_ localRanks: Int) -> Finding {
        guard let space = MachineFiles.space("/dev/shm") else {
            return .note("/dev/shm", "it is not there", cure: "mount it, or several ranks of a node are slower")
        }
        let words = "\(MachineFiles.words(space.free)) of \(MachineFiles.words(space.total)) are free"
        return space.free < 256 << 20
            ? .note("/dev/shm", words, cure: "docker run --shm-size=2g, or mpirun --mca btl ^vader where ranks end with a bus error")
            : .ok("/dev/shm", words)
    }
}
