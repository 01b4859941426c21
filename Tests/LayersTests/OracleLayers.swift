import Glibc
import Layers

/// Lists of layers by the definitions in their doc comments, in Double: forward only, as gradients are taken by central differences.
struct OracleLayers {
    var parameters: [String: [Double]]
    let samples: Int
    let isTraining: Bool
    var frames: (shape: Shape, values: [Double])
    var positions: [UInt64]
    let seed: UInt64 = 5
    /// Outputs on the way.
    var intermediates: [[Double]] = []
    /// Batch statistics of each normalisation: mean and unbiased variance.
    var statistics: [String: (mean: [Double], variance: [Double])] = [:]
    /// Leaf layers met.
    private(set) var leaves = 0

    init(
        parameters: [String: [Double]], samples: Int, isTraining: Bool, frames: (shape: Shape, values: [Double]),
        positions: [UInt64]? = nil
    ) {
        self.parameters = parameters
        self.samples = samples
        self.isTraining = isTraining
        self.frames = frames
        self.positions = positions ?? (0..<UInt64(samples)).map { $0 }
    }

    mutating func run(_ nodes: [LayerNode], _ x: [Double], _ input: Shape, prefix: String = "") -> [Double] {
        var x = x
        for place in nodes.placed(on: input) {
            guard let layer = place.node.layer as? any TestedLayer else {
                preconditionFailure("no oracle for \(type(of: place.node.layer).kind)")
            }
            x = layer.oracle(x, OraclePlace(input: place.input, output: place.output, name: prefix + place.name), &self)
            if place.node.layer.contents(of: place.input).isEmpty { leaves += 1 }
        }
        return x
    }

    /// The values of a layer's parameter.
    func parameter(_ name: String, of place: OraclePlace) -> [Double] { parameters["\(place.name).\(name)"]! }

    // MARK: What several layers do

    func eachSample(_ x: [Double], _ input: Shape, _ body: ([Double]) -> [Double]) -> [Double] {
        (0..<samples).flatMap { body(Array(x[$0 * input.count..<($0 + 1) * input.count])) }
    }

    /// The value at a place of the input for each place of the output.
    func gather(
        _ x: [Double], _ input: Shape, _ output: Shape, _ place: (Int, Int, Int) -> (row: Int, column: Int, channel: Int)
    ) -> [Double] {
        eachSample(x, input) { x in
            (0..<output.count).map { index in
                let (position, channel) = (index / output.channels, index % output.channels)
                let from = place(position / output.width, position % output.width, channel)
                return x[(from.row * input.width + from.column) * input.channels + from.channel]
            }
        }
    }

    /// Softmax over the positions of channels 0 ..< joints, (positions, joints).
    func softmax(_ x: [Double], _ map: Shape, joints: Int) -> [Double] {
        var w = (0..<map.positions * joints).map { index in
            exp(x[index / joints * map.channels + index % joints])
        }
        for joint in 0..<joints {
            let sum = stride(from: joint, to: w.count, by: joints).reduce(0) { $0 + w[$1] }
            for index in stride(from: joint, to: w.count, by: joints) { w[index] /= sum }
        }
        return w
    }
}
