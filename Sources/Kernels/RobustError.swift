/// An error that is quadratic near 0 and linear beyond: slope x^2 / (2 edge) where |x| < edge, else slope (|x| - edge / 2).
package enum RobustError {
    /// Sum over the values, in Double, in order. NaN stays.
    package static func sum(
        outputs: UnsafePointer<Float>, labels: UnsafePointer<Float>, count: Int, edge: Double, slope: Double
    ) -> Double {
        var total = 0.0
        for index in 0..<count {
            let size = abs(Double(outputs[index]) - Double(labels[index]))
            total += size < edge ? slope * size * size / (2 * edge) : slope * (size - edge / 2)
        }
        return total
    }

    /// scale · slope · x / edge where |x| < edge, else scale · slope · sign(x). NaN stays.
    /// - Parameter gradient: overwritten.
    package static func backward(
        outputs: UnsafePointer<Float>, labels: UnsafePointer<Float>, count: Int, edge: Float, slope: Float, scale: Float,
        gradient: UnsafeMutablePointer<Float>
    ) {
        let inner = scale * slope / edge
        let outer = scale * slope
        for index in 0..<count {
            let x = outputs[index] - labels[index]
            gradient[index] = x >= edge ? outer : x <= -edge ? -outer : x * inner
        }
    }
}
