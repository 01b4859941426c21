import ArgumentParser
import Checkpoints
import FoundationEssentials
import Glibc
import Kernels
import System
import Training

/// What this rank was started with, for the comparison with the others'.
enum RankSettings {
    /// Variables that change what a rank computes, or how fast. OPENBLAS_CORETYPE is compared by its effect, the BLAS's kernels: a rank
    /// may have set it by itself (`settleCoreType`).
    private static let variables = [
        "DTRAIN_SHARED_MEMORY", "DTRAIN_RANKS_PER_NODE", "DTRAIN_PACKING", "DTRAIN_KERNELS", "GLIBC_TUNABLES",
    ]

    static func check(_ configuration: RunConfiguration) -> SettingsCheck {
        let environment = ProcessInfo.processInfo.environment
        return SettingsCheck(
            configuration, program: [("version", Dtrain.configuration.version), ("build", build)],
            environment: variables.map { ($0, environment[$0] ?? "unset") }
                // Replicas stay equal, as sums are made once; what differs is how an activation is rounded on a rank.
                + [("processor", Processors.modelName), ("BLAS kernels", BLAS.kernelName)])
    }

    /// A checksum of the running program's file; builds for other processors round otherwise.
    private static var build: String {
        guard let file = fopen("/proc/self/exe", "r") else { return "unknown" }
        defer { fclose(file) }
        var checksum = StreamingChecksum()
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = fread(&bytes, 1, bytes.count, file)
            guard count > 0 else { return checksum.finish().description }
            bytes.withUnsafeBytes { checksum.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}
