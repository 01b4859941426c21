import Glibc
import Kernels
import System
import Telemetry

extension CommandRunner {
    /// Starts the program anew with the kernels that fit, where OPENBLAS_CORETYPE is not set and OpenBLAS does not know the
    /// processor. Before anything is read: a pipe gives what it holds to one process, once.
    static func settleCoreType() {
        #if arch(x86_64)
            guard requestedCore ?? "" == "" else { return }
            guard let better = CoreType.better(than: BLAS.kernelName, features: Processors.kernelFeatures) else { return }
            startAnew(setting: coreVariable, to: better)
        #endif
    }

    /// Refuses an OPENBLAS_CORETYPE that would end the program at its first product. The first rank of each node speaks: nodes of
    /// a cluster differ.
    static func requireCoreType() {
        #if arch(x86_64)
            let features = Processors.kernelFeatures
            switch CoreType.verdict(requested: requestedCore, actual: BLAS.kernelName, features: features) {
            case .good: break
            // No thread may start yet: `train` forks.
            case .note(let text): if isFirstOfNode { Outlet.standardError.writeDirectly("dtrain: \(text)\n") }
            case .refused(let text): endAlone(1, [text])
            }
        #endif
    }

    private static let coreVariable = "OPENBLAS_CORETYPE"
    private static var requestedCore: String? { getenv(coreVariable).map { String(cString: $0) } }

    /// Replaces this process by the same program with one more variable, which a library reads when it is loaded. Arguments,
    /// descriptors, signals and the process's number stay. Goes on as it is where that fails.
    private static func startAnew(setting name: String, to value: String) {
        var path = [CChar](repeating: 0, count: 4097)
        guard readlink("/proc/self/exe", &path, 4096) > 0, setenv(name, value, 1) == 0 else { return }
        execv(path, CommandLine.unsafeArgv)
    }

    private static var isFirstOfNode: Bool {
        for name in ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"] {
            if let value = getenv(name) { return String(cString: value) == "0" }
        }
        return (ownRank ?? 0) == 0
    }
}
