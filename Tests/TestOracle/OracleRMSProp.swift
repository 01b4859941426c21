/// RMSProp as DeepPrior's trainer has it, in Double:
///
///     s = rho·s + (1 - rho)·g²;  w -= rate · g / max(sqrt(s), floor)
package struct OracleRMSProp {
    package let rate: Double
    package let rho: Double
    package let floor: Double
    package var weights: [Double]
    package private(set) var meanSquares: [Double]

    package init(rate: Double, rho: Double = 0.9, floor: Double = 0.01, weights: [Double]) {
        self.rate = rate
        self.rho = rho
        self.floor = floor
        self.weights = weights
        meanSquares = weights.map { _ in 0 }
    }

    /// One step with the gradient of all weights.
    package mutating func update(_ gradient: [Double]) {
        for (index, g) in gradient.enumerated() {
            meanSquares[index] = rho * meanSquares[index] + (1 - rho) * g * g
            weights[index] -= rate * g / max(meanSquares[index].squareRoot(), floor)
        }
    }
}
