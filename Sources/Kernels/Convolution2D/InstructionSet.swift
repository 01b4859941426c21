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
    package static let best: InstructionSet = wanted != "v3" && v4.isAvailable ? .v4 : .v3

    private static let wanted = getenv("DTRAIN_KERNELS").map { String(cString: $0) }

    /// What is to be told of a `DTRAIN_KERNELS` that has no effect; nil: nothing.
    package static var warning: String? {
        switch wanted {
        case nil, "", "v3": nil
        case "v4": v4.isAvailable ? nil : "DTRAIN_KERNELS is v4, which this processor does not run; hint: leave it out"
        default: "DTRAIN_KERNELS is '\(wanted ?? "")', which is no set of kernels; hint: v3, v4, or leave it out"
        }
    }

    /// Whether this processor runs it.
    package var isAvailable: Bool { self == .v3 || dtrain_has_set_4() != 0 }

    /// Name of the level of x86-64.
    package var name: String { self == .v3 ? "x86-64-v3" : "x86-64-v4" }
}
