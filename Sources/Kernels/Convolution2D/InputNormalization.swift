/// What a convolution does to its input on the way: scale · x + shift, rectified or not, as `BatchNormalization.normalize` does.
/// The zeros around the image stay zeros.
package struct InputNormalization {
    private let kernel: BatchNormalization
    private let scale, shift: UnsafePointer<Float>
    private let isRectified: Bool

    /// - Parameter scale, shift: (channels), read whenever it is applied.
    package init(
        _ kernel: BatchNormalization, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>, rectified: Bool
    ) {
        self.kernel = kernel
        self.scale = scale
        self.shift = shift
        isRectified = rectified
    }

    /// y (positions, channels) of x.
    func apply(_ x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>, positions: Int) {
        kernel.normalize(x: x, scale: scale, shift: shift, rectified: isRectified, y: y, rows: 0..<positions)
    }
}
