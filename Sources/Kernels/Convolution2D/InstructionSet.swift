import CKernels
import Glibc

/// The sets of kernels that this program holds, one for each level of x86-64.
///
/// Products have the same terms in the same order in each; only the weight gradient's sums may be cut differently.
package enum InstructionSet: Sendable, CaseIterable {
    /// AVX2 and FMA.
    case v3
    /// AVX-512 (F, VL, DQ, BW).
    case v4

    /// The best set of this processor, unless `DTRAIN_KERNELS` names `v3`.
    package static let best: InstructionSet = {
        if let name = getenv("DTRAIN_KERNELS"), String(cString: name) == "v3" { return .v3 }
        return v4.isAvailable ? .v4 : .v3
    }()

    /// Whether this processor runs it.
    package var isAvailable: Bool { self == .v3 || dtrain_has_set_4() != 0 }

    /// Name of the level of x86-64.
    package var name: String { self == .v3 ? "x86-64-v3" : "x86-64-v4" }
}
