import Layers
import Memory
import System
import Testing
import TestOracle

/// A list of layers on a small odd shape.
struct LayerCase: Sendable, CustomTestStringConvertible {
    let name: String
    let input: Shape
    let nodes: [LayerNode]
    let samples: Int
    /// Allowed distance from the oracle, in ulps of the largest magnitude: sums are of some dozens of products.
    let ulps: Double

    var testDescription: String { name }

    init(_ name: String, _ shape: (Int, Int, Int), samples: Int = 3, ulps: Double = 64, _ nodes: [LayerNode]) {
        self.name = name
        input = Shape(height: shape.0, width: shape.1, channels: shape.2)
        self.nodes = nodes
        self.samples = samples
        self.ulps = ulps
    }

    init(_ name: String, _ shape: (Int, Int, Int), samples: Int = 3, ulps: Double = 64, _ layer: any LayerDescription) {
        self.init(name, shape, samples: samples, ulps: ulps, [LayerNode(layer)])
    }

    /// A convolution without bias, and batch normalisation.
    private static func normalized(_ channels: Int, kernel: Int, stride: Int = 1, rectified: Bool = true) -> [LayerNode] {
        [
            LayerNode(Convolution(channels, kernel: kernel, stride: stride, bias: false)),
            LayerNode(BatchNormalization(rectified: rectified)),
        ]
    }

    /// 1x1, 3x3, 1x1, each normalised; + x or a normalised 1x1; ReLU.
    private static func bottleneck(_ inputs: Int, _ inside: Int, _ outputs: Int) -> [LayerNode] {
        let body = normalized(inside, kernel: 1) + normalized(inside, kernel: 3) + normalized(outputs, kernel: 1, rectified: false)
        let skip = inputs == outputs ? [] : normalized(outputs, kernel: 1, rectified: false)
        return [LayerNode(Residual(body, skip: skip)), LayerNode(Activation(.relu))]
    }

    /// What is done on the way of another layer: statistics, normalisation, sums, ReLU, and parts of a whole.
    static let fused: [LayerCase] = [
        .init("bottlenecks", (4, 5, 8), ulps: 2048, bottleneck(8, 8, 8) + bottleneck(8, 3, 11)),
        .init("a bottleneck by Winograd's way", (6, 7, 16), samples: 2, ulps: 8192, bottleneck(16, 16, 16)),
        .init(
            "normalised, then with strides and larger kernels", (7, 6, 2), ulps: 2048,
            normalized(8, kernel: 5, stride: 2) + normalized(5, kernel: 3, rectified: false) + normalized(4, kernel: 1, stride: 2)),
        .init(
            "a residual of one normalised convolution", (3, 4, 8), ulps: 1024,
            [LayerNode(Convolution(8, kernel: 1))] + [
                LayerNode(Residual(normalized(8, kernel: 1, rectified: false))), LayerNode(Activation(.relu)),
                LayerNode(Residual(normalized(8, kernel: 1))), LayerNode(Residual([LayerNode(Convolution(8, kernel: 3))])),
                LayerNode(Activation(.relu)),
            ]),
        .init(
            "parts of a whole", (3, 3, 9), ulps: 2048,
            [
                LayerNode(
                    Branches([
                        normalized(8, kernel: 1), [LayerNode(Channels(2..<5))],
                        [LayerNode(Channels(1..<9))] + normalized(3, kernel: 1, rectified: false), [], [LayerNode(JointGraph.small(2, [0, 1]))],
                        [LayerNode(Channels(0..<3)), LayerNode(Convolution(2, kernel: 3)), LayerNode(Activation(.relu))],
                    ])),
                LayerNode(Convolution(2, kernel: 1)),
            ]),
        .init(
            "pooled at once", (11, 12, 1), ulps: 256,
            [
                LayerNode(Convolution(8, kernel: 3, padding: .valid)), LayerNode(MaxPooling(2, rectified: true)),
                LayerNode(Convolution(3, kernel: 3)), LayerNode(MaxPooling(2)),
            ]),
        .init(
            "normalised, then pooled at once", (7, 8, 3), ulps: 4096,
            [
                LayerNode(BatchNormalization()), LayerNode(Convolution(5, kernel: 3, stride: 2)), LayerNode(MaxPooling(2, rectified: true)),
                LayerNode(Convolution(4, kernel: 1)),
            ]),
        .init(
            "some channels, pooled at once", (4, 6, 19), ulps: 256,
            [LayerNode(Branches([[LayerNode(Channels(2..<12)), LayerNode(Convolution(3, kernel: 1)), LayerNode(MaxPooling(2))]]))]),
        .init(
            "pooled at once, then overwritten", (7, 6, 2), ulps: 256,
            [
                LayerNode(Convolution(4, kernel: 5)), LayerNode(MaxPooling(2)), LayerNode(Activation(.leakyRelu)),
                LayerNode(Convolution(2, kernel: 1)),
            ]),
        .init(
            "pooled at once at the ends of a residual and of branches", (6, 6, 3), ulps: 512,
            [
                LayerNode(
                    Residual(
                        [LayerNode(Convolution(4, kernel: 3)), LayerNode(MaxPooling(2, rectified: true))],
                        skip: [LayerNode(Convolution(4, kernel: 1, stride: 2))])),
                LayerNode(
                    Branches([
                        [LayerNode(MaxPooling(2))], [LayerNode(Convolution(3, kernel: 3)), LayerNode(MaxPooling(2))],
                    ])),
            ]),
        .init(
            "an output on the way of what is pooled at once", (6, 7, 2), ulps: 512,
            [
                LayerNode(Convolution(4, kernel: 3)), LayerNode(MaxPooling(2)),
                LayerNode(Intermediate([LayerNode(FullyConnected(3))], weight: 0.5)), LayerNode(FullyConnected(3)),
            ]),
        .init(
            "normalised branches, added", (3, 3, 8), ulps: 1024,
            [LayerNode(Branches([normalized(8, kernel: 1), [], normalized(8, kernel: 1, rectified: false)], join: .add))]),
    ]

    /// What shares buffers, writes in place, and nests.
    static let nested: [LayerCase] = [
        .init(
            "in place after a convolution", (5, 5, 2), ulps: 256,
            [
                LayerNode(Convolution(3, kernel: 3)), LayerNode(Activation(.relu)), LayerNode(Dropout(0.3)), LayerNode(Activation(.linear)),
                LayerNode(Activation(.leakyRelu)), LayerNode(Convolution(2, kernel: 1)),
            ]),
        .init(
            "hourglass", (4, 6, 3), ulps: 512,
            [
                LayerNode(
                    Residual(
                        [
                            LayerNode(MaxPooling(2)), LayerNode(Convolution(3, kernel: 3)),
                            LayerNode(Residual([LayerNode(Convolution(3, kernel: 1)), LayerNode(BatchNormalization(rectified: true))])),
                            LayerNode(Upsampling()),
                        ], skip: [LayerNode(Convolution(3, kernel: 1))]))
            ]),
        .init(
            "joints that vote", (3, 3, 4), ulps: 1024,
            [
                LayerNode(
                    Branches([
                        [],
                        [
                            LayerNode(
                                Branches([
                                    [LayerNode(Convolution(2, kernel: 1))],
                                    [LayerNode(Convolution(3, kernel: 1, bias: false)), LayerNode(BatchNormalization(rectified: true))],
                                ])), LayerNode(JointGraph.small(2, [0, 1])),
                        ],
                    ])),
                LayerNode(Branches([[LayerNode(Channels(4..<6))], [LayerNode(Channels(6..<9)), LayerNode(Convolution(6, kernel: 1))]])),
                LayerNode(SoftArgmax(joints: 2, depth: true, normalized: true)),
            ]),
    ]

    /// Each layer by itself, and layers together.
    static let all = layers + nested + fused

    // MARK: Values

    /// Values of parameters, away from 0 where they divide.
    func parameters(seed: UInt64 = 1) -> [String: [Double]] {
        var random = TestValues(seed: seed)
        return Dictionary(
            uniqueKeysWithValues: nodes.parameters(of: input).map { declared in
                let values = random.uniform(declared.count)
                return (declared.name, declared.name.hasSuffix("running-variance") ? values.map { abs($0) + 0.5 } : values)
            })
    }

    func values(_ count: Int, seed: UInt64) -> [Double] {
        var random = TestValues(seed: seed)
        return random.uniform(count)
    }

    var x: [Double] { values(samples * input.count, seed: 2) }

    /// A frame for what looks at the surface: 7 x 9.
    var frames: (shape: Shape, values: [Double]) {
        let shape = Shape(height: 7, width: 9, channels: 1)
        return (shape, values(samples * shape.count, seed: 3))
    }

    func oracle(_ parameters: [String: [Double]], isTraining: Bool) -> OracleLayers {
        OracleLayers(parameters: parameters, samples: samples, isTraining: isTraining, frames: frames)
    }

    func rig(threads: Int = 1, disposable: Bool = false, needsInputGradient: Bool = true) throws -> LayerRig {
        let rig = try LayerRig(
            nodes, input, samples: samples, threads: threads, disposable: disposable, needsInputGradient: needsInputGradient,
            frames: frames)
        rig.set(parameters())
        return rig
    }

    func tolerance(_ expected: [Double]) -> Double {
        ulps * Double(Float.ulpOfOne) * max(1, expected.magnitudes.max() ?? 0)
    }
}
