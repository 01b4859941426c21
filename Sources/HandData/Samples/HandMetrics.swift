/// Joint errors summed over frames.
///
/// Everything is a sum, so ranks that share the frames add their `sums` and get the metrics of all of them.
package struct HandMetrics: Sendable {
    package let camera: Camera
    /// The D of each success rate, mm.
    package let thresholds: [Double]
    /// Number of frames; then the summed error of each of 16 joints, mm; then, for each threshold, the number of frames
    /// whose largest joint error is not above it.
    package var sums: [Double]

    /// - Parameters:
    ///   - camera: turns pixels into mm.
    ///   - thresholds: for success rates, mm.
    package init(camera: Camera, thresholds: [Double] = [10, 20, 30, 40, 50, 60, 70, 80]) {
        self.camera = camera
        self.thresholds = thresholds
        sums = [Double](repeating: 0, count: 1 + HandLabel.jointCount + thresholds.count)
    }

    /// Adds one frame.
    ///
    /// A prediction that is not finite makes its joints' mean errors not finite, and succeeds at no threshold.
    /// - Parameters: `prediction` and `truth` are 48 values each: u px, v px, d mm for each joint.
    package mutating func add(prediction: UnsafeBufferPointer<Float>, truth: UnsafeBufferPointer<Float>) {
        var largest = 0.0
        for joint in 0..<HandLabel.jointCount {
            let error = Self.jointError(joint, prediction, truth, camera)
            sums[1 + joint] += error
            // NaN, once there, is above every threshold and stays.
            if error > largest || error.isNaN { largest = error }
        }
        sums[0] += 1
        for (index, threshold) in thresholds.enumerated() where largest <= threshold {
            sums[1 + HandLabel.jointCount + index] += 1
        }
    }

    /// Number of frames added.
    package var frameCount: Int { Int(sums[0]) }

    /// Mean over frames of each joint's error, mm; NaN without frames.
    package var jointErrors: [Double] { sums[1...HandLabel.jointCount].map { $0 / sums[0] } }

    /// Mean over frames and joints of the error, mm; NaN without frames.
    package var meanError: Double { jointErrors.reduce(0, +) / Double(HandLabel.jointCount) }

    /// For each threshold, the share of frames whose largest joint error is not above it; NaN without frames.
    package var successRates: [Double] { sums[(1 + HandLabel.jointCount)...].map { $0 / sums[0] } }

    /// Distance in mm between predicted and true place of one joint; in Double, since with Float a frame can flip at a
    /// threshold.
    package static func jointError(
        _ joint: Int, _ prediction: UnsafeBufferPointer<Float>, _ truth: UnsafeBufferPointer<Float>, _ camera: Camera
    ) -> Double {
        func place(_ values: UnsafeBufferPointer<Float>) -> SIMD3<Double> {
            camera.millimetres(
                u: Double(values[3 * joint]), v: Double(values[3 * joint + 1]), d: Double(values[3 * joint + 2]))
        }
        let difference = place(prediction) - place(truth)
        return (difference * difference).sum().squareRoot()
    }
}
