/// OPENBLAS_CORETYPE: the processor whose kernels OpenBLAS is told to run. It believes it: kernels of another processor end the
/// program at the first product (SIGILL). OpenBLAS runs none of them before `main`.
package enum CoreType {
    private static let avx512: Set = ["avx2", "fma", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"]

    /// What each of OpenBLAS's cores needs beyond x86-64, by the names of /proc/cpuinfo (`DYNAMIC_CORE` in OpenBLAS 0.3.21, tried
    /// one by one). Names are lowercase.
    private static let needs: [String: Set<String>] = [
        "prescott": ["pni"], "opteron": ["3dnow"], "opteron_sse3": ["3dnow", "pni"], "barcelona": ["pni"],
        "core2": ["ssse3"], "atom": ["ssse3"], "nano": ["ssse3"], "bobcat": ["ssse3"],
        "penryn": ["sse4_1"], "dunnington": ["sse4_1"], "nehalem": ["sse4_2"], "sandybridge": ["avx"],
        "bulldozer": ["avx", "fma4"], "piledriver": ["avx", "fma4"], "steamroller": ["avx", "fma4"],
        "excavator": ["avx", "fma4"], "haswell": ["avx2", "fma"], "zen": ["avx2", "fma"], "skylakex": avx512,
        "cooperlake": avx512.union(["avx512_bf16"]), "sapphirerapids": avx512.union(["avx512_bf16"]),
    ]

    /// What the core that OpenBLAS runs needs and a processor lacks, in order of the names; none of a core that is not known.
    /// - Parameters:
    ///   - core: `BLAS.kernelName`.
    ///   - features: of the processor, see `Processors.kernelFeatures`.
    package static func missing(core: String, features: Set<String>) -> [String] {
        (needs[core.lowercased()] ?? []).subtracting(features).sorted()
    }

    /// The core to ask for where OpenBLAS, asked for none, took kernels without fused multiply-adds on a processor that has them:
    /// OpenBLAS 0.3.21 knows models of processors by number, and takes those of 2004 (Prescott) for an Intel model that came later.
    /// - Parameters:
    ///   - actual: `BLAS.kernelName`.
    ///   - features: of the processor, see `Processors.kernelFeatures`.
    /// - Returns: nil where OpenBLAS chose as well, or a core that is not known here.
    package static func better(than actual: String, features: Set<String>) -> String? {
        guard let taken = needs[actual.lowercased()], taken.isDisjoint(with: ["fma", "fma4"]) else { return nil }
        return ["SkylakeX", "Haswell"].first { missing(core: $0, features: features).isEmpty }
    }

    /// What is wrong with the variable's value, in words.
    package enum Verdict: Equatable {
        case good
        /// The processor cannot run the core that the variable names.
        case refused(String)
        /// OpenBLAS does not know the name, or runs another core in its place.
        case note(String)
    }

    /// - Parameters:
    ///   - requested: OPENBLAS_CORETYPE; nil where it is not set.
    ///   - actual: the core that OpenBLAS runs.
    package static func verdict(requested: String?, actual: String, features: Set<String>) -> Verdict {
        guard let requested, !requested.isEmpty else { return .good }
        let missing = missing(core: actual, features: features)
        if !missing.isEmpty {
            return .refused(
                "OPENBLAS_CORETYPE=\(requested) asks for kernels with \(missing.joined(separator: ", ")), which this processor "
                    + "lacks; hint: unset OPENBLAS_CORETYPE, OpenBLAS then takes what fits")
        }
        guard requested.lowercased() != actual.lowercased() else { return .good }
        return .note(
            "note: OPENBLAS_CORETYPE=\(requested) is not a core that this OpenBLAS runs here; it runs \(actual) instead")
    }
}
