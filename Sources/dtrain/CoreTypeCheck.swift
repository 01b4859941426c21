import Glibc
import Kernels
import Telemetry
import Tensors

extension CommandRunner {
    /// Refuses an OPENBLAS_CORETYPE that would end the program at its first product. The first rank of each node speaks: nodes of
    /// a cluster differ.
    static func requireCoreType() {
        #if arch(x86_64)
            let requested = getenv("OPENBLAS_CORETYPE").map { String(cString: $0) }
            switch CoreType.verdict(requested: requested, actual: BLAS.kernelName, features: Processors.kernelFeatures) {
            case .good: break
            // No thread may start yet: `train` forks.
            case .note(let text): if isFirstOfNode { Outlet.standardError.writeDirectly("dtrain: \(text)\n") }
            case .refused(let text): endAlone(1, [text])
            }
        #endif
    }

    private static var isFirstOfNode: Bool {
        for name in ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"] {
            if let value = getenv(name) { return String(cString: value) == "0" }
        }
        return (ownRank ?? 0) == 0
    }
}
