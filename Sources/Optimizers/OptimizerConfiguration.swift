package import Memory

/// The optimisers there are, by their names on the command line.
package enum OptimizerKind: String, Sendable, Codable, CaseIterable {
    case adam, adamw, sgd, rmsprop

    /// The class that does it.
    package var type: any Optimizer.Type {
        switch self {
        case .adam: Adam.self
        case .adamw: AdamW.self
        case .sgd: SGD.self
        case .rmsprop: RMSProp.self
        }
    }
}

/// An optimiser's settings; each optimiser reads those of its own.
package struct OptimizerConfiguration: Sendable, Codable, Equatable {
    package var kind: OptimizerKind
    /// The rate that the schedule's factors multiply.
    package var learningRate: Double
    /// Adam, AdamW: share of the old in the first and second moments.
    package var beta1: Double
    package var beta2: Double
    /// Adam, AdamW: what keeps the divisor from 0. Where it stands differs: see `AdamW`.
    package var epsilon: Double
    /// SGD: share of the old momentum; 0: none is kept.
    package var momentum: Double
    /// SGD: Nesterov's form.
    package var nesterov: Bool
    /// RMSProp: share of the old mean square.
    package var rho: Double
    /// RMSProp: the smallest divisor.
    package var floor: Double
    /// Of parameters of role weight, never of biases and normalisations: added to the gradient, or decoupled: each
    /// optimiser says which.
    package var weightDecay: Double
    /// Multiplies the rate of biases.
    package var biasRateMultiplier: Double
    /// Multiplies the rate of normalisations' scales and shifts.
    package var normalizationRateMultiplier: Double

    /// In checkpoints and messages: the names of the flags, where users can set the value.
    private enum CodingKeys: String, CodingKey {
        case kind = "optimizer"
        case learningRate = "learning-rate"
        case beta1, beta2, epsilon, momentum, nesterov, rho
        case floor = "rms-floor"
        case weightDecay = "weight-decay"
        case biasRateMultiplier = "bias-rate-multiplier"
        case normalizationRateMultiplier = "normalization-rate-multiplier"
    }

    /// The defaults are the question's rate 1e-4, TensorFlow's betas and epsilon, DeepPrior's RMSProp, and the usual momentum.
    /// - Parameter weightDecay: nil: the kind's `standardWeightDecay`.
    package init(
        kind: OptimizerKind = .adam, learningRate: Double = 1e-4, beta1: Double = 0.9, beta2: Double = 0.999,
        epsilon: Double = 1e-8, momentum: Double = 0.9, nesterov: Bool = false, rho: Double = 0.9, floor: Double = 0.01,
        weightDecay: Double? = nil, biasRateMultiplier: Double = 1, normalizationRateMultiplier: Double = 1
    ) {
        self.kind = kind
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.momentum = momentum
        self.nesterov = nesterov
        self.rho = rho
        self.floor = floor
        self.weightDecay = weightDecay ?? kind.type.standardWeightDecay
        self.biasRateMultiplier = biasRateMultiplier
        self.normalizationRateMultiplier = normalizationRateMultiplier
    }

    /// Makes the optimiser.
    /// - Parameters:
    ///   - weights: the parameters' arena, `table.count` floats.
    ///   - held: which weights this rank updates; nil: all.
    ///   - arena: gives room for the state: `bytes(holding:)`.
    package func make(
        weights: UnsafeMutablePointer<Float>, table: ParameterTable, holding held: HeldRanges? = nil, arena: Arena
    ) -> any Optimizer {
        kind.type.init(configuration: self, weights: weights, table: table, holding: held, arena: arena)
    }

    /// The names of its state, in the order of checkpoints.
    package var stateNames: [String] { kind.type.stateNames(self) }

    /// Bytes of arena that the state of these elements needs.
    package func bytes(holding held: HeldRanges) -> Int {
        stateNames.count * OptimizerMemory.stateBytes(held)
    }

    /// Rate multiplier and weight decay of a role; nil: it is never updated.
    package func treatment(of role: ParameterRole) -> Treatment? {
        switch role {
        case .weight: Treatment(rateMultiplier: 1, decay: weightDecay)
        case .bias: Treatment(rateMultiplier: biasRateMultiplier, decay: 0)
        case .normalization: Treatment(rateMultiplier: normalizationRateMultiplier, decay: 0)
        case .statistic, .constant: nil
        }
    }

    /// The largest of all roles' rate multipliers.
    package var largestMultiplier: Double { max(1, biasRateMultiplier, normalizationRateMultiplier) }

    /// What is wrong with the values, in one line; nil when nothing is. A value that the kind does not read is checked too.
    package var problem: String? {
        let positive = "a small positive number such as"
        let share = "a number from 0 to below 1 such as"
        let checks: [(value: Double, key: CodingKeys, isGood: Bool, hint: String)] = [
            (learningRate, .learningRate, learningRate > 0, "\(positive) 1e-4"),
            (beta1, .beta1, beta1 >= 0 && beta1 < 1, "\(share) 0.9"),
            (beta2, .beta2, beta2 >= 0 && beta2 < 1, "\(share) 0.999"),
            (epsilon, .epsilon, Float(epsilon) > 0, "\(positive) 1e-8"),
            (momentum, .momentum, momentum >= 0 && momentum < 1, "\(share) 0.9"),
            (rho, .rho, rho >= 0 && rho < 1, "\(share) 0.9"),
            (floor, .floor, Float(floor) > 0, "\(positive) 0.01"),
            (weightDecay, .weightDecay, weightDecay >= 0, "0 for none, or \(positive) 5e-4"),
            (biasRateMultiplier, .biasRateMultiplier, biasRateMultiplier >= 0, "1, or 2 for biases that learn twice as fast"),
            (
                normalizationRateMultiplier, .normalizationRateMultiplier, normalizationRateMultiplier >= 0,
                "1, or 0 to keep normalisations as they begin"
            ),
        ]
        for (value, key, isGood, hint) in checks where !(isGood && Float(value).isFinite) {
            return "--\(key.rawValue) is \(value); hint: \(hint)"
        }
        return kind.type.problem(self)
    }
}
