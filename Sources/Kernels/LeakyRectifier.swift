/// Leaky ReLU (Maas et al. 2013): y = x where x > 0, else 0.01 x. NaN stays NaN.
package enum LeakyRectifier {
    private static let slope: Float = 0.01

    /// In place.
    package static func forward(_ values: UnsafeMutablePointer<Float>, count: Int) {
        for index in 0..<count { values[index] = values[index] <= 0 ? values[index] * slope : values[index] }
    }

    /// dx = dy where y > 0, else 0.01 dy; in place.
    package static func backward(outputs: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, count: Int) {
        for index in 0..<count { gradient[index] = outputs[index] <= 0 ? gradient[index] * slope : gradient[index] }
    }
}
