import Glibc

/// Adam as TensorFlow 1 documents it, in Double:
///
///     m = b1·m + (1 - b1)·g;  v = b2·v + (1 - b2)·g²;  w -= lr · sqrt(1 - b2^t) / (1 - b1^t) · m / (sqrt(v) + epsilon)
package struct OracleAdam {
    package var learningRate: Double
    package var beta1 = 0.9
    package var beta2 = 0.999
    package var epsilon = 1e-8
    package var weights: [Double]
    package private(set) var firstMoments: [Double]
    package private(set) var secondMoments: [Double]
    private var step = 0

    package init(learningRate: Double, weights: [Double]) {
        self.learningRate = learningRate
        self.weights = weights
        firstMoments = weights.map { _ in 0 }
        secondMoments = weights.map { _ in 0 }
    }

    /// One step with the gradient of all weights.
    package mutating func update(_ gradient: [Double]) {
        step += 1
        let rate = learningRate * (1 - pow(beta2, Double(step))).squareRoot() / (1 - pow(beta1, Double(step)))
        for index in weights.indices {
            let g = gradient[index]
            firstMoments[index] = beta1 * firstMoments[index] + (1 - beta1) * g
            secondMoments[index] = beta2 * secondMoments[index] + (1 - beta2) * g * g
            weights[index] -= rate * firstMoments[index] / (secondMoments[index].squareRoot() + epsilon)
        }
    }
}
