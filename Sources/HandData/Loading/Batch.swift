/// The samples of one step that one rank computes with, in buffers that the loader owns.
///
/// Valid until the loader's next call.
package struct Batch {
    /// Which step of the loader's sequence this is.
    package let step: UInt64
    /// Number of samples: unreadable ones are left out and the others moved up.
    package let count: Int
    /// The network's inputs, (count, height, width) of the pipeline's `inputSize`.
    package let input: UnsafeMutableBufferPointer<Float>
    /// Labels, (count, 48), in the pipeline's units.
    package let labels: UnsafeMutableBufferPointer<Float>
    /// Index of each sample in its source, (count).
    package let samples: UnsafeBufferPointer<Int>
    /// Position of each sample in the order, (count); for a range of a source, its index.
    package let positions: UnsafeBufferPointer<UInt64>
    /// Geometry of each sample's crop, (count); empty for full frames.
    package let geometries: UnsafeBufferPointer<CropGeometry>
    /// Samples of this step that cannot be read and were not reported before.
    package let bad: [BadSample]
    /// How long `next` waited for it, s.
    package let waitSeconds: Double
}

/// Which samples each step consists of.
enum BatchPlan {
    /// A rank's shard of the global batches of an endless order.
    case order(SampleOrder, batch: Int, shard: Range<Int>)
    /// Consecutive samples, once.
    case range(Range<Int>, batch: Int)

    /// The most samples a step can have.
    var capacity: Int {
        switch self {
        case .order(_, _, let shard): shard.count
        case .range(let range, let batch): min(range.count, batch)
        }
    }

    /// The order's seed; nil for a range, whose samples are not varied.
    var seed: UInt64? {
        switch self {
        case .order(let order, _, _): order.seed
        case .range: nil
        }
    }

    /// The positions of `step`.
    func positions(of step: UInt64) -> Range<UInt64> {
        switch self {
        case .order(_, let batch, let shard):
            let start = step * UInt64(batch)
            return (start + UInt64(shard.lowerBound))..<(start + UInt64(shard.upperBound))
        case .range(let range, let batch):
            let start = range.lowerBound + Int(step) * batch
            return UInt64(start)..<UInt64(min(start + batch, range.upperBound))
        }
    }

    /// The sample at `position`.
    mutating func sample(at position: UInt64) -> Int {
        switch self {
        case .range: return Int(position)
        case .order(var order, let batch, let shard):
            // Give the payload up before changing it, or its permutations would be copied.
            self = .range(0..<0, batch: 0)
            defer { self = .order(order, batch: batch, shard: shard) }
            return order.sample(at: position)
        }
    }
}

/// One step's buffers and how far their filling has come. Fields but the buffers' contents belong to the loader's monitor.
final class BatchSlot {
    let input: UnsafeMutableBufferPointer<Float>  // (capacity, height, width)
    let labels: UnsafeMutableBufferPointer<Float>  // (capacity, 48)
    let samples: UnsafeMutableBufferPointer<Int>  // (capacity)
    let positions: UnsafeMutableBufferPointer<UInt64>  // (capacity)
    let geometries: UnsafeMutableBufferPointer<CropGeometry>  // (capacity), or empty: full frames
    let inputSize: Int

    /// The step it is for; nil: not in use.
    var step: UInt64?
    /// Samples of the step, and how many of them are given to a thread, and are finished.
    var total = 0
    var claimed = 0
    var finished = 0
    var failures: [(row: Int, sample: BadSample)] = []

    /// - Parameter inputSize: values of a sample's input.
    init(capacity: Int, inputSize: Int, isCropped: Bool) {
        self.inputSize = inputSize
        input = Self.allocate(capacity * inputSize)
        labels = Self.allocate(capacity * HandLabel.valueCount)
        samples = Self.allocate(capacity)
        positions = Self.allocate(capacity)
        geometries = Self.allocate(isCropped ? capacity : 0)
    }

    deinit {
        input.deallocate()
        labels.deallocate()
        samples.deallocate()
        positions.deallocate()
        geometries.deallocate()
    }

    /// At addresses of whole cache lines.
    private static func allocate<Element: BitwiseCopyable>(_ count: Int) -> UnsafeMutableBufferPointer<Element> {
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        return UnsafeMutableBufferPointer(start: raw.bindMemory(to: Element.self, capacity: count), count: count)
    }

    func inputRow(_ row: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: input[(row * inputSize)..<((row + 1) * inputSize)])
    }

    func labelRow(_ row: Int) -> UnsafeMutableBufferPointer<Float> {
        let width = HandLabel.valueCount
        return UnsafeMutableBufferPointer(rebasing: labels[(row * width)..<((row + 1) * width)])
    }

    /// Moves the readable samples up, in order; returns how many there are.
    func compact() -> Int {
        guard !failures.isEmpty else { return total }
        let failed = Set(failures.map(\.row))
        var kept = 0
        for row in 0..<total where !failed.contains(row) {
            if kept != row {
                _ = inputRow(kept).update(fromContentsOf: inputRow(row))
                _ = labelRow(kept).update(fromContentsOf: labelRow(row))
                samples[kept] = samples[row]
                positions[kept] = positions[row]
                if !geometries.isEmpty { geometries[kept] = geometries[row] }
            }
            kept += 1
        }
        return kept
    }
}
