import Optimizers

/// An optimiser under test. Each has its formula in Double in the file of its other tests; `OptimizerTests.definition` finds it by the
/// kind, compares the two, and fails for a kind that has none.
protocol TestedOptimizer: Optimizer {
    /// One step of a weight by the formula in its doc comment.
    /// - Parameter state: of this weight, in the order of `stateNames`; 0 before the first step.
    static func oracle(_ weight: inout Double, _ state: inout [Double], _ step: OracleStep)
}

/// What a step depends on besides the weight and its state.
struct OracleStep {
    /// 1 for the first.
    let number: Int
    let gradient: Double
    /// Learning rate and weight decay of the weight's role.
    let rate, decay: Double
    let settings: OptimizerConfiguration

    /// `base` to the power of `number`.
    func power(of base: Double) -> Double {
        var power = 1.0
        for _ in 0..<number { power *= base }
        return power
    }
}
