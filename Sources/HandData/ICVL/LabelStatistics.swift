/// What a source's labels alone tell: the losses of two networks that have learned nothing.
package struct LabelStatistics: Sendable {
    package let count: Int
    /// The mean label: 48 values, u px, v px, d mm for each joint.
    package let mean: [Double]
    /// Mean over samples and values of the squared label: the mean squared error of a network whose outputs are all 0.
    package let zeroLoss: Double
    /// Mean squared error of always predicting the mean label.
    package let meanLoss: Double

    /// - Complexity: reads every label of `source` twice, no frame. Sums in Double, in index order.
    package init(_ source: any FrameSource) {
        count = source.count
        let width = HandLabel.valueCount
        let label = UnsafeMutableBufferPointer<Float>.allocate(capacity: width)
        defer { label.deallocate() }
        var sum = [Double](repeating: 0, count: width)
        var squares = 0.0
        for index in 0..<source.count {
            source.readLabel(index, into: label)
            for (value, number) in label.enumerated() {
                sum[value] += Double(number)
                squares += Double(number) * Double(number)
            }
        }
        let samples = Double(source.count)
        let mean = sum.map { $0 / samples }
        var deviations = 0.0
        for index in 0..<source.count {
            source.readLabel(index, into: label)
            for (value, number) in label.enumerated() {
                let deviation = Double(number) - mean[value]
                deviations += deviation * deviation
            }
        }
        self.mean = mean
        zeroLoss = squares / (samples * Double(width))
        meanLoss = deviations / (samples * Double(width))
    }
}
