/// How gradients are limited before the update. As text: `none`, `norm:1.0`, `value:0.5`.
package enum Clipping: SettingText, Equatable {
    case none
    /// All gradients together are scaled down to this norm when theirs is larger.
    case norm(Double)
    /// Each gradient by itself is limited to this magnitude (`ValueClip`).
    case value(Double)

    /// What the gradients are to be multiplied with, given the norm of all of them: limit / norm where the norm is larger, as
    /// TensorFlow's clip_by_global_norm (PyTorch adds 1e-6 to the norm); else exactly 1. A norm that is not finite gives 1: the
    /// finite check is to end such a step before.
    package func scale(norm: Double) -> Float {
        guard case .norm(let limit) = self, norm > limit, norm.isFinite else { return 1 }
        return Float(limit / norm)
    }

    /// The norm of all gradients has to be known before the first update.
    package var needsNorm: Bool {
        if case .norm = self { true } else { false }
    }

    package init(parsing text: String) throws(SettingError) {
        func problem(_ words: String) -> SettingError {
            SettingError(description: "--clip is '\(text)': \(words); hint: none, norm:1.0 or value:0.5")
        }
        let halves = text.split(separator: ":", omittingEmptySubsequences: false)
        if text == "none" {
            self = .none
            return
        }
        guard halves.count == 2, halves[0] == "norm" || halves[0] == "value" else { throw problem("there is no such clipping") }
        guard let limit = Double(halves[1]), limit.isFinite, Float(limit).isFinite else {
            throw problem("'\(halves[1])' is no number")
        }
        guard Float(limit) > 0 else {
            throw problem(limit == 0 ? "a limit of 0 would stop all learning" : "a limit is a positive number")
        }
        self = halves[0] == "norm" ? .norm(limit) : .value(limit)
    }

    package var description: String {
        switch self {
        case .none: "none"
        case .norm(let limit): "norm:\(limit)"
        case .value(let limit): "value:\(limit)"
        }
    }
}
