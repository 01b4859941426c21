/// Adam as TensorFlow 1 documents it, in Double:
///
///     m = b1·m + (1 - b1)·g;  v = b2·v + (1 - b2)·g²
///     w -= lr · sqrt(1 - b2^t) / (1 - b1^t) · m / (sqrt(v) + epsilon)
package struct OracleAdam {
    package let learningRate: Double
    package let beta1: Double
    package let beta2: Double
    package let epsilon: Double
    package var weights: [Double]
    package private(set) var firstMoments: [Double]
    package private(set) var secondMoments: [Double]
    private let keepsScalarsInSingle: Bool
    private var power1 = 1.0
    private var power2 = 1.0

    /// - Parameters:
    ///   - keepsScalarsInSingle: keep the rate, betas, epsilon and the betas' powers as Floats, as TensorFlow 1 does even
    ///     where the variables are of double precision (`AdamOptimizer._prepare` and `_create_slots`).
    package init(
        learningRate: Double, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weights: [Double],
        keepsScalarsInSingle: Bool = false
    ) {
        func kept(_ value: Double) -> Double { keepsScalarsInSingle ? Double(Float(value)) : value }
        self.learningRate = kept(learningRate)
        self.beta1 = kept(beta1)
        self.beta2 = kept(beta2)
        self.epsilon = kept(epsilon)
        self.weights = weights
        self.keepsScalarsInSingle = keepsScalarsInSingle
        firstMoments = weights.map { _ in 0 }
        secondMoments = weights.map { _ in 0 }
    }

    /// One step with the gradient of all weights.
    package mutating func update(_ gradient: [Double]) {
        power1 *= beta1
        power2 *= beta2
        if keepsScalarsInSingle {
            power1 = Double(Float(power1))
            power2 = Double(Float(power2))
        }
        let rate = learningRate * (1 - power2).squareRoot() / (1 - power1)
        for index in weights.indices {
            let g = gradient[index]
            firstMoments[index] = beta1 * firstMoments[index] + (1 - beta1) * g
            secondMoments[index] = beta2 * secondMoments[index] + (1 - beta2) * g * g
            weights[index] -= rate * firstMoments[index] / (secondMoments[index].squareRoot() + epsilon)
        }
    }
}
