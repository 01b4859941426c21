import HandData

/// Distances of predicted from true joints, frame by frame.
package struct JointErrors: Sendable {
    /// (frames, 16), mm.
    package private(set) var distances: [Double]

    /// - Parameters: predicted and true places, (frames, 16), mm.
    package init(_ predicted: [SIMD3<Double>], _ truth: [SIMD3<Double>]) {
        precondition(predicted.count == truth.count && truth.count % HandLabel.jointCount == 0, "16 joints a frame")
        distances = zip(predicted, truth).map { predicted, truth in
            let difference = predicted - truth
            return (difference * difference).sum().squareRoot()
        }
    }

    private init(distances: [Double]) { self.distances = distances }

    package var frames: Int { distances.count / HandLabel.jointCount }

    /// The frames at `indices`.
    package func selecting(_ indices: [Int]) -> JointErrors {
        JointErrors(distances: indices.flatMap { frame($0) })
    }

    /// The errors of a frame's 16 joints, mm.
    package func frame(_ index: Int) -> ArraySlice<Double> {
        distances[index * HandLabel.jointCount..<(index + 1) * HandLabel.jointCount]
    }

    /// Mean over the joints of each frame, mm.
    package var frameMeans: [Double] { (0..<frames).map { frame($0).reduce(0, +) / Double(HandLabel.jointCount) } }

    /// Mean over frames and joints, mm.
    package var meanError: Double { jointMeans.reduce(0, +) / Double(HandLabel.jointCount) }

    /// Mean over frames of each joint, mm.
    package var jointMeans: [Double] {
        var sums = [Double](repeating: 0, count: HandLabel.jointCount)
        for (index, distance) in distances.enumerated() { sums[index % HandLabel.jointCount] += distance }
        return sums.map { $0 / Double(frames) }
    }

    /// The median over frames of a frame's mean error, mm; of an even number the mean of the middle two.
    package var medianFrame: Double {
        let sorted = frameMeans.sorted()
        guard !sorted.isEmpty else { return .nan }
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    /// The largest error of each frame, mm.
    package var largest: [Double] { (0..<frames).map { frame($0).max() ?? 0 } }

    /// Share of frames whose largest error is at most so many mm.
    package func success(within threshold: Double) -> Double {
        Double(largest.count { $0 <= threshold }) / Double(frames)
    }
}

/// Names of ICVL's joints, in the order of its labels.
package enum JointNames {
    package static let all =
        ["palm"] + ["thumb", "index", "middle", "ring", "pinky"].flatMap { ["\($0) root", "\($0) mid", "\($0) tip"] }
}
