import Kernels

/// How outputs o are compared with labels t: the mean of a function of x = o - t over samples and values.
package struct Loss: Sendable, Codable, Equatable {
    package enum Kind: String, Sendable, Codable, CaseIterable {
        /// x^2.
        case meanSquared = "mse"
        /// (sigma x)^2 / 2 where |x| < 1 / sigma^2, else |x| - 1 / (2 sigma^2) (Girshick 2015, with Faster R-CNN's sigma).
        case smoothL1 = "smooth-l1"
        /// x^2 / 2 where |x| < delta, else delta (|x| - delta / 2) (Huber 1964).
        case huber
    }

    package var kind: Kind
    /// Of smooth L1.
    package var sigma: Double
    /// Of Huber's loss.
    package var delta: Double

    package init(_ kind: Kind = .meanSquared, sigma: Double = 1, delta: Double = 1) {
        self.kind = kind
        self.sigma = sigma
        self.delta = delta
    }

    /// Sum over the values, in Double, in order.
    package func sum(outputs: UnsafePointer<Float>, labels: UnsafePointer<Float>, count: Int) -> Double {
        switch kind {
        case .meanSquared: return SquaredError.sum(outputs: outputs, labels: labels, count: count)
        case .smoothL1:
            let edge = 1 / (sigma * sigma)
            return RobustError.sum(outputs: outputs, labels: labels, count: count, edge: edge, slope: 1)
        case .huber: return RobustError.sum(outputs: outputs, labels: labels, count: count, edge: delta, slope: delta)
        }
    }

    /// Gradient of the sum times `scale`; `gradient` is overwritten.
    package func backward(
        outputs: UnsafePointer<Float>, labels: UnsafePointer<Float>, count: Int, scale: Float,
        gradient: UnsafeMutablePointer<Float>
    ) {
        switch kind {
        case .meanSquared:
            SquaredError.backward(outputs: outputs, labels: labels, count: count, scale: scale, gradient: gradient)
        case .smoothL1:
            RobustError.backward(
                outputs: outputs, labels: labels, count: count, edge: Float(1 / (sigma * sigma)), slope: 1, scale: scale,
                gradient: gradient)
        case .huber:
            RobustError.backward(
                outputs: outputs, labels: labels, count: count, edge: Float(delta), slope: Float(delta), scale: scale,
                gradient: gradient)
        }
    }
}
