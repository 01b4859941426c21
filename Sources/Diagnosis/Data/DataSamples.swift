import HandData

/// Some frames of a data set with their labels, spread evenly over it: what the checks of data look at.
struct DataSamples {
    /// Frames decoded at most; with 320x240 pixels each takes 150 KB.
    static let most = 240

    let width: Int
    let height: Int
    /// (height, width), mm each, of the frames that can be read.
    var frames: [[UInt16]] = []
    /// 48 values each.
    var labels: [[Float]] = []
    /// Why frames could not be read.
    var failures: [String] = []

    init(_ source: any FrameSource, most: Int = most) {
        (width, height) = (source.width, source.height)
        let count = min(most, source.count)
        for number in 0..<count {
            let index = number * source.count / count
            var depth = [UInt16](repeating: 0, count: width * height)
            var label = [Float](repeating: 0, count: HandLabel.valueCount)
            let result: Result<Void, BadSample> = depth.withUnsafeMutableBufferPointer { depth in
                label.withUnsafeMutableBufferPointer { label in
                    Result { () throws(BadSample) in try source.readSample(index, depth: depth, label: label) }
                }
            }
            switch result {
            case .success:
                frames.append(depth)
                labels.append(label)
            case .failure(let error):
                failures.append("\(error)")
                // Each try at a file server that does not answer takes seconds.
                if error.mayPass { return }
            }
        }
    }

    /// Frames and labels made by hand.
    init(width: Int, height: Int, frames: [[UInt16]], labels: [[Float]]) {
        (self.width, self.height, self.frames, self.labels) = (width, height, frames, labels)
    }
}

/// All labels of a part of a data set, which takes no frame.
struct AllLabels {
    /// 48 values each.
    let labels: [[Float]]

    init(_ source: any FrameSource, most: Int = 400_000) {
        let count = min(most, source.count)
        labels = (0..<count).map { number in
            var label = [Float](repeating: 0, count: HandLabel.valueCount)
            label.withUnsafeMutableBufferPointer { source.readLabel(number * source.count / count, into: $0) }
            return label
        }
    }

    init(_ labels: [[Float]]) { self.labels = labels }
}
