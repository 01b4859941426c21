import Foundation
import Kernels
import System
import Testing

@Suite("OPENBLAS_CORETYPE")
struct CoreTypeTests {
    private static let nehalem: Set = ["pni", "ssse3", "sse4_1", "sse4_2"]
    private static let haswell = nehalem.union(["avx", "avx2", "fma"])
    private static let skylake = haswell.union(["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"])

    @Test(
        "kernels that the processor cannot run are refused in one line",
        arguments: [
            ("SkylakeX", haswell, ["avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"]), ("skylakex", skylake, []),
            ("Cooperlake", skylake, ["avx512_bf16"]), ("Haswell", nehalem, ["avx2", "fma"]), ("Zen", nehalem, ["avx2", "fma"]),
            ("Zen", haswell, []), ("Sandybridge", nehalem, ["avx"]), ("Sandybridge", haswell, []), ("Prescott", nehalem, []),
            ("Excavator", haswell, ["fma4"]), ("Opteron", skylake, ["3dnow"]),
        ])
    func missing(core: String, features: Set<String>, expected: [String]) throws {
        #expect(CoreType.missing(core: core, features: features) == expected)
        let verdict = CoreType.verdict(requested: core, actual: core, features: features)
        if expected.isEmpty {
            #expect(verdict == .good)
        } else {
            guard case .refused(let text) = verdict else {
                Issue.record("\(verdict)")
                return
            }
            #expect(text.hasPrefix("OPENBLAS_CORETYPE=\(core) "))
            #expect(text.contains(expected.joined(separator: ", ")) && text.contains("hint:") && !text.contains("\n"))
        }
    }

    @Test("a name that OpenBLAS does not take gets a note; what it falls back to is what counts")
    func unknown() {
        for name in ["Foo", "SapphireRapids", "Cooperlake"] {
            guard case .note(let text) = CoreType.verdict(requested: name, actual: "Haswell", features: Self.haswell) else {
                Issue.record("no note for \(name)")
                return
            }
            #expect(text.contains("OPENBLAS_CORETYPE=\(name)") && text.contains("it runs Haswell"))
        }
    }

    @Test("not set, or empty, it says nothing", arguments: [nil, ""])
    func unset(requested: String?) {
        #expect(CoreType.verdict(requested: requested, actual: "SkylakeX", features: []) == .good)
    }

    @Test(
        "where OpenBLAS does not know the processor, kernels that fit are asked for",
        arguments: [
            ("Prescott", skylake, "SkylakeX"), ("Prescott", haswell, "Haswell"), ("Prescott", nehalem, nil), ("Nehalem", haswell, "Haswell"),
            ("Sandybridge", haswell, "Haswell"), ("Haswell", skylake, nil), ("Zen", skylake, nil), ("SkylakeX", skylake, nil),
            ("Excavator", haswell.union(["fma4"]), nil), ("Zen9", skylake, nil),
        ] as [(String, Set<String>, String?)])
    func better(actual: String, features: Set<String>, expected: String?) {
        #expect(CoreType.better(than: actual, features: features) == expected)
    }

    /// `Scripts/test.sh` runs tests with one core type after the other, of those that the processor has the instructions for.
    @Test("the core that OPENBLAS_CORETYPE names is the one that runs these tests")
    func takesEffect() {
        guard let name = ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"], !name.isEmpty else { return }
        #expect(BLAS.kernelName.lowercased() == name.lowercased())
    }

    @Test("the processor has what the core needs that runs these tests")
    func thisProcessor() {
        #expect(CoreType.missing(core: BLAS.kernelName, features: Processors.kernelFeatures) == [])
        #if arch(x86_64)
            for name in Processors.kernelFeatures { #expect(Processors.hasFeature(name), "\(name)") }
        #endif
    }
}
