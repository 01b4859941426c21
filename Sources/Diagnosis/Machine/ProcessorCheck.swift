import Glibc
import Kernels
import System

/// Processors, what of them this process may use, and the BLAS's kernels for them.
enum ProcessorCheck {
    static func findings(localRanks: Int) -> [Finding] {
        let (allowed, online) = (Processors.allowed().count, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var findings: [Finding] = []
        let words = "\(Processors.modelName), \(allowed) of \(online) processors may be used"
        if let share = ProcessorTime.limit(), share < 0.95 * Double(allowed) {
            findings.append(
                .note(
                    "processors", "\(words), but a limit of the container or job allows the time of \(Double(Int(share * 10)) / 10) alone",
                    cure: "--threads \(max(1, Int(share))), or a higher limit (docker run --cpus)"))
        } else if allowed < online && localRanks <= 1 {
            findings.append(.note("processors", words, cure: "mpirun --bind-to none, or a wider mask (taskset, cgroup), if all are meant"))
        } else if localRanks > allowed {
            findings.append(.note("processors", "\(words) by \(localRanks) ranks, so they take turns", cure: "as many ranks as processors, or fewer"))
        } else {
            findings.append(.ok("processors", words))
        }
        #if arch(x86_64)
            findings.append(blas())
        #endif
        return findings
    }

    private static func blas() -> Finding {
        let requested = getenv("OPENBLAS_CORETYPE").map { String(cString: $0) }
        switch CoreType.verdict(requested: requested, actual: BLAS.kernelName, features: Processors.kernelFeatures) {
        case .refused(let text): return .problem("BLAS", text, cure: "unset OPENBLAS_CORETYPE")
        case .note(let text): return .note("BLAS", text, cure: "unset OPENBLAS_CORETYPE")
        case .good: break
        }
        let features = Processors.kernelFeatures
        let old = ["prescott", "core2", "nehalem", "penryn", "sandybridge"].contains(BLAS.kernelName.lowercased())
        if old, features.contains("avx2") {
            return .note(
                "BLAS", "OpenBLAS runs its kernels of \(BLAS.kernelName), and this processor has AVX2",
                cure: "a newer libopenblas, or OPENBLAS_CORETYPE=Haswell")
        }
        return .ok("BLAS", "OpenBLAS with kernels for \(BLAS.kernelName)")
    }
}
