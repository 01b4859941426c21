import Glibc
import Layers
import Memory
import System
import TestOracle

/// Lists of layers by the definitions in their doc comments, in Double: forward only, as gradients are taken by central differences.
struct OracleLayers {
    var parameters: [String: [Double]]
    let samples: Int
    let isTraining: Bool
    var frames: (shape: Shape, values: [Double])
    var positions: [UInt64]
    let seed: UInt64 = 5
    /// Outputs on the way.
    private(set) var intermediates: [[Double]] = []
    /// Batch statistics of each normalisation: mean and unbiased variance.
    private(set) var statistics: [String: (mean: [Double], variance: [Double])] = [:]
    /// Leaf layers met.
    private var leaves = 0

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
            x = apply(place.node.layer, x, place.input, place.output, prefix + place.name)
            if place.node.layer.contents(of: place.input).isEmpty { leaves += 1 }
        }
        return x
    }

    private mutating func apply(
        _ layer: any LayerDescription, _ x: [Double], _ input: Shape, _ output: Shape, _ name: String
    ) -> [Double] {
        func parameter(_ own: String) -> [Double] { parameters["\(name).\(own)"]! }
        switch layer {
        case let layer as Convolution:
            let oracle = OracleConvolution(
                height: input.height, width: input.width, inputChannels: input.channels, outputChannels: layer.channels,
                kernel: layer.kernel, stride: layer.stride, border: layer.padding == .same ? layer.kernel / 2 : 0)
            let bias = layer.bias ? parameter("bias") : [Double](repeating: 0, count: layer.channels)
            return eachSample(x, input) { oracle.forward($0, weights: parameter("weight"), bias: bias) }
        case let layer as FullyConnected:
            let bias = layer.bias ? parameter("bias") : [Double](repeating: 0, count: layer.units)
            return TestOracle.Layers.dense(x, weights: parameter("weight"), bias: bias, samples: samples)
        case is PoseBasis:
            return TestOracle.Layers.dense(x, weights: parameter("components"), bias: parameter("mean"), samples: samples)
        case let layer as BatchNormalization: return normalize(layer, x, input, name)
        case let layer as Activation: return x.map { Self.activate(layer.function, $0) }
        case let layer as MaxPooling:
            return pool(x, input, output, layer.size) { values in layer.rectified ? max(0, values.max()!) : values.max()! }
        case let layer as AveragePooling:
            return pool(x, input, output, layer.size) { $0.reduce(0, +) / Double($0.count) }
        case is Upsampling: return gather(x, input, output) { ($0 / 2, $1 / 2, $2) }
        case let layer as Region: return gather(x, input, output) { ($0 + layer.rows[0], $1 + layer.columns[0], $2) }
        case let layer as Channels: return gather(x, input, output) { ($0, $1, $2 + layer.range[0]) }
        case let layer as Dropout: return drop(layer, x, input)
        case let layer as SoftArgmax: return softArgmax(layer, x, input)
        case let layer as JointGraph: return jointGraph(layer, x, input, parameter("weight"))
        case let layer as Residual:
            let one = run(layer.layers, x, input, prefix: name + ".")
            let other = run(layer.skip, x, input, prefix: name + ".skip.")
            return zip(one, other).map { $0 + $1 }
        case let layer as Branches:
            let parts = layer.branches.enumerated().map { run($1, x, input, prefix: "\(name).branch\($0 + 1).") }
            if layer.join == .add { return parts[0].indices.map { index in parts.reduce(0) { $0 + $1[index] } } }
            let positions = samples * output.positions
            return (0..<positions).flatMap { position in
                parts.flatMap { part in part[position * part.count / positions..<(position + 1) * part.count / positions] }
            }
        case let layer as Intermediate:
            let number = intermediates.count
            intermediates.append([])
            intermediates[number] = run(layer.layers, x, input, prefix: name + ".")
            return x
        default: preconditionFailure("no oracle for \(type(of: layer).kind)")
        }
    }

    // MARK: Layers

    private static func activate(_ function: Activation.Function, _ x: Double) -> Double {
        switch function {
        case .relu: max(0, x)
        case .leakyRelu: x > 0 ? x : 0.01 * x
        case .exp: exp(x)
        case .linear: x
        }
    }

    private func eachSample(_ x: [Double], _ input: Shape, _ body: ([Double]) -> [Double]) -> [Double] {
        (0..<samples).flatMap { body(Array(x[$0 * input.count..<($0 + 1) * input.count])) }
    }

    /// The value at a place of the input for each place of the output.
    private func gather(
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

    private func pool(
        _ x: [Double], _ input: Shape, _ output: Shape, _ size: Int, _ join: ([Double]) -> Double
    ) -> [Double] {
        var windows = [[Double]](repeating: [], count: samples * output.count)
        for i in 0..<size {
            for j in 0..<size {
                for (index, value) in gather(x, input, output, { (size * $0 + i, size * $1 + j, $2) }).enumerated() {
                    windows[index].append(value)
                }
            }
        }
        return windows.map(join)
    }

    private mutating func normalize(_ layer: BatchNormalization, _ x: [Double], _ input: Shape, _ name: String) -> [Double] {
        let channels = input.channels
        let rows = Double(x.count / channels)
        let (scale, shift) = (parameters["\(name).scale"]!, parameters["\(name).shift"]!)
        var (mean, variance) = (parameters["\(name).running-mean"]!, parameters["\(name).running-variance"]!)
        if isTraining {
            for c in 0..<channels {
                let own = stride(from: c, to: x.count, by: channels).map { x[$0] }
                let average: Double = own.reduce(0, +) / rows
                mean[c] = average
                variance[c] = own.map { ($0 - average) * ($0 - average) }.reduce(0, +) / rows
            }
            statistics[name] = (mean, variance.map { $0 * rows / max(1, rows - 1) })
        }
        return x.indices.map { index in
            let c = index % channels
            let y = (x[index] - mean[c]) / (variance[c] + layer.epsilon).squareRoot() * scale[c] + shift[c]
            return layer.rectified ? max(0, y) : y
        }
    }

    /// Two values a random number, low half first; numbers count on from sample to sample.
    private func drop(_ layer: Dropout, _ x: [Double], _ input: Shape) -> [Double] {
        guard isTraining else { return layer.scaling == .training ? x : x.map { $0 * (1 - layer.rate) } }
        let random = CounterRandom(seed: seed, stream: 0x6472_6F70_0000_0000 | UInt64(leaves))
        return x.indices.map { index in
            let (sample, own) = (index / input.count, UInt64(index % input.count))
            let bits = random.bits(positions[sample] * UInt64((input.count + 1) / 2) + own / 2)
            let part = own % 2 == 0 ? bits & 0xFFFF_FFFF : bits >> 32
            if Double(part) < (layer.rate * 0x1p32).rounded(.down) { return 0 }
            return layer.scaling == .training ? x[index] / (1 - layer.rate) : x[index]
        }
    }

    /// Softmax over the positions of channels 0 ..< joints, (positions, joints).
    private func softmax(_ x: [Double], _ map: Shape, joints: Int) -> [Double] {
        var w = (0..<map.positions * joints).map { index in
            exp(x[index / joints * map.channels + index % joints])
        }
        for joint in 0..<joints {
            let sum = stride(from: joint, to: w.count, by: joints).reduce(0) { $0 + w[$1] }
            for index in stride(from: joint, to: w.count, by: joints) { w[index] /= sum }
        }
        return w
    }

    private func softArgmax(_ layer: SoftArgmax, _ x: [Double], _ map: Shape) -> [Double] {
        let joints = layer.joints
        return (0..<samples).flatMap { sample in
            let x = Array(x[sample * map.count..<(sample + 1) * map.count])
            let w =
                layer.normalized
                ? (0..<map.positions * joints).map { x[$0 / joints * map.channels + $0 % joints] }
                : softmax(x, map, joints: joints)
            var y: [Double] = []
            for joint in 0..<joints {
                var sums = [0.0, 0.0, 0.0]
                for position in 0..<map.positions {
                    let (row, column) = (position / map.width, position % map.width)
                    let u: Double = 2 * (Double(column) + 0.5) / Double(map.width) - 1
                    let v: Double = 2 * (Double(row) + 0.5) / Double(map.height) - 1
                    let d: Double = layer.depth ? depth(sample, row, column, map) : 0
                    for (coordinate, place) in [u, v, d].enumerated() {
                        let offset: Double = x[position * map.channels + (coordinate + 1) * joints + joint]
                        sums[coordinate] += w[position * joints + joint] * (place + offset)
                    }
                }
                y += sums
            }
            return y
        }
    }

    /// The frame at a cell's centre.
    private func depth(_ sample: Int, _ row: Int, _ column: Int, _ map: Shape) -> Double {
        let shape = frames.shape
        let v = Int((Double(row) + 0.5) / Double(map.height) * Double(shape.height))
        let u = Int((Double(column) + 0.5) / Double(map.width) * Double(shape.width))
        return frames.values[sample * shape.count + (v * shape.width + u) * shape.channels]
    }

    private func jointGraph(_ layer: JointGraph, _ x: [Double], _ map: Shape, _ weight: [Double]) -> [Double] {
        let (joints, features) = (layer.joints, map.channels - layer.joints)
        var edges = Set((0..<joints).map { [$0, $0] })
        // Palm, root, middle, tip of five fingers, unless bones are given.
        var fingers: [[Int]] = []
        for root in [1, 4, 7, 10, 13] { fingers += [[0, root], [root, root + 1], [root + 1, root + 2]] }
        let given: [[Int]] = stride(from: 0, to: layer.edges.count, by: 2).map { [layer.edges[$0], layer.edges[$0 + 1]] }
        for bone in given.isEmpty ? fingers : given {
            edges.insert(bone)
            edges.insert([bone[1], bone[0]])
        }
        let degree = (0..<joints).map { joint in Double(edges.count { $0[0] == joint }) }
        return eachSample(x, map) { x in
            let w = softmax(x, map, joints: joints)
            var f = [Double](repeating: 0, count: joints * features)
            for p in 0..<map.positions {
                for j in 0..<joints {
                    for c in 0..<features {
                        f[j * features + c] += w[p * joints + j] * x[p * map.channels + joints + c]
                    }
                }
            }
            var mixed = [Double](repeating: 0, count: joints * features)
            for i in 0..<joints {
                for j in 0..<joints where edges.contains([i, j]) {
                    let share: Double = 1 / (degree[i] * degree[j]).squareRoot()
                    for c in 0..<features { mixed[i * features + c] += share * f[j * features + c] }
                }
            }
            let none = [Double](repeating: 0, count: features)
            let joined = TestOracle.Layers.rectifier(
                TestOracle.Layers.dense(mixed, weights: weight, bias: none, samples: joints))
            var y: [Double] = []
            for p in 0..<map.positions {
                for j in 0..<joints { y.append(w[p * joints + j]) }
                for c in 0..<features {
                    var sum = 0.0
                    for j in 0..<joints { sum += w[p * joints + j] * joined[j * features + c] }
                    y.append(sum / Double(joints))
                }
            }
            return y
        }
    }
}
