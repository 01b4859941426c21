/// What a forward pass is asked to notice of its layers: units that a ReLU cuts off for every sample, and maps whose softmax has one position
/// with nearly all of the weight. Layers tell it what they have just computed, as a later layer may overwrite it.
package final class LayerInspector {
    /// A layer, its channels, and whether each is above 0 anywhere in the rank's samples.
    package private(set) var rectified: [(layer: String, isAlive: [Bool])] = []
    /// A layer, and of its maps those that are saturated.
    package private(set) var softmax: [(layer: String, saturated: Int, maps: Int)] = []
    /// Weight of one position from which on a map is saturated: gradients of its scores are at most 0.01 of the joint's.
    private static let saturation: Float = 0.99
    private var path: [String] = []

    package init() {}

    /// Runs a layer of that name.
    func within<Value>(_ name: String, _ body: () throws -> Value) rethrows -> Value {
        path.append(name)
        defer { path.removeLast() }
        return try body()
    }

    private var layer: String { path.filter { !$0.isEmpty }.joined(separator: ".") }

    /// - Parameters:
    ///   - y: (rows, channels), what a ReLU let through; rows are samples, or positions of all samples.
    ///   - step: floats from a row to the next; nil: side by side.
    ///   - scale: with `shift`, what normalises y before the ReLU, which the next layer does on its way; nil: all is done.
    func rectified(
        _ y: UnsafePointer<Float>, rows: Int, channels: Int, step: Int? = nil, scale: UnsafePointer<Float>? = nil,
        shift: UnsafePointer<Float>? = nil
    ) {
        var isAlive = [Bool](repeating: false, count: channels)
        // Only those that are not yet seen alive: in good health few are left after some rows.
        var dead = Array(0..<channels)
        var row = 0
        while row < rows && !dead.isEmpty {
            let values = y + row &* (step ?? channels)
            dead.removeAll { channel in
                var value = values[channel]
                if let scale, let shift { value = value * scale[channel] + shift[channel] }
                guard value > 0 else { return false }
                isAlive[channel] = true
                return true
            }
            row += 1
        }
        rectified.append((layer, isAlive))
    }

    /// - Parameter weights: (samples, positions, joints), each joint's with the sum 1.
    func softmax(_ weights: UnsafePointer<Float>, samples: Int, positions: Int, joints: Int) {
        var saturated = 0
        for sample in 0..<samples {
            let map = weights + sample &* positions &* joints
            for position in 0..<positions {
                // No two positions can have so much.
                for joint in 0..<joints where map[position &* joints &+ joint] > Self.saturation { saturated += 1 }
            }
        }
        softmax.append((layer, saturated, samples * joints))
    }
}
