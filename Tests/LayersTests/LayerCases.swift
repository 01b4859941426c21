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

    private static func graph(_ joints: Int, _ edges: [Int]) -> JointGraph {
        var graph = JointGraph()
        (graph.joints, graph.edges) = (joints, edges)
        return graph
    }

    private static func basis(outputs: Int, trained: Bool) -> PoseBasis {
        var basis = PoseBasis(trained: trained)
        basis.outputs = outputs
        return basis
    }

    static let layers: [LayerCase] = [
        .init("convolution, same", (5, 7, 3), Convolution(5, kernel: 3)),
        .init("convolution, valid", (6, 5, 2), Convolution(3, kernel: 5, padding: .valid)),
        .init("convolution, stride 2, no bias", (5, 6, 3), Convolution(4, kernel: 3, stride: 2, bias: false)),
        .init("convolution 1x1", (3, 1, 9), Convolution(7, kernel: 1)),
        .init("dense", (2, 3, 5), FullyConnected(7)),
        .init("dense without bias", (1, 1, 11), FullyConnected(3, bias: false)),
        .init("batch normalisation", (3, 2, 11), ulps: 256, BatchNormalization()),
        .init("batch normalisation, rectified", (2, 3, 9), ulps: 256, BatchNormalization(rectified: true)),
        .init("batch normalisation of vectors", (1, 1, 5), samples: 7, ulps: 256, BatchNormalization()),
        .init("ReLU", (3, 5, 2), Activation(.relu)),
        .init("leaky ReLU", (3, 5, 2), Activation(.leakyRelu)),
        .init("exp", (3, 5, 2), Activation(.exp)),
        .init("linear", (3, 5, 2), Activation(.linear)),
        .init("max pooling", (5, 7, 9), MaxPooling(2)),
        .init("max pooling, rectified", (9, 8, 3), MaxPooling(4, rectified: true)),
        .init("max pooling of 8 channels, rectified", (4, 4, 8), MaxPooling(2, rectified: true)),
        .init("average pooling", (7, 8, 3), AveragePooling(3)),
        .init("upsampling", (3, 2, 5), Upsampling()),
        .init("dropout", (3, 3, 3), Dropout(0.4)),
        .init("dropout, scaled in evaluation", (3, 3, 3), Dropout(0.3, scaling: .evaluation)),
        .init("fixed pose basis", (1, 1, 5), basis(outputs: 9, trained: false)),
        .init("trained pose basis", (1, 1, 4), basis(outputs: 27, trained: true)),
        .init("region", (5, 6, 3), Region(rows: 1..<4, columns: 2..<6)),
        .init("channels", (3, 2, 7), Channels(2..<5)),
        .init("soft-argmax", (3, 5, 12), SoftArgmax(joints: 3)),
        .init("soft-argmax from the surface", (5, 3, 8), SoftArgmax(joints: 2, depth: true)),
        .init("soft-argmax of weights", (3, 3, 12), SoftArgmax(joints: 3, depth: true, normalized: true)),
        .init("joint graph", (3, 4, 3 + 5), ulps: 256, graph(3, [0, 1, 1, 2])),
    ]

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
                        [LayerNode(Channels(1..<9))] + normalized(3, kernel: 1, rectified: false), [], [LayerNode(graph(2, [0, 1]))],
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
            "residual without a skip", (4, 3, 2), ulps: 256,
            [LayerNode(Residual([LayerNode(Convolution(2, kernel: 3)), LayerNode(Activation(.exp))])), LayerNode(Activation(.relu))]),
        .init(
            "residual with a skip", (5, 3, 2), ulps: 256,
            [
                LayerNode(Convolution(3, kernel: 1)),
                LayerNode(
                    Residual(
                        [LayerNode(Activation(.relu)), LayerNode(Convolution(4, kernel: 3, stride: 2))],
                        skip: [LayerNode(Convolution(4, kernel: 1, stride: 2, bias: false)), LayerNode(Activation(.leakyRelu))])),
                LayerNode(Activation(.exp)),
            ]),
        .init(
            "residual of nothing but in-place layers", (3, 3, 2), ulps: 256,
            [
                LayerNode(Convolution(3, kernel: 1)),
                LayerNode(Residual([LayerNode(Dropout(0.5)), LayerNode(Activation(.relu))], skip: [LayerNode(Activation(.leakyRelu))])),
                LayerNode(Activation(.linear)), LayerNode(Dropout(0.2)),
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
            "branches, one empty", (3, 3, 3), ulps: 256,
            [
                LayerNode(Activation(.relu)),
                LayerNode(
                    Branches([
                        [LayerNode(Activation(.exp)), LayerNode(Dropout(0.3))], [],
                        [LayerNode(Convolution(2, kernel: 3)), LayerNode(Activation(.relu))],
                    ])),
                LayerNode(Activation(.leakyRelu)), LayerNode(FullyConnected(5)),
            ]),
        .init(
            "branches, added", (3, 5, 2), ulps: 256,
            [
                LayerNode(Branches([[LayerNode(Convolution(2, kernel: 3))], [], [LayerNode(Activation(.relu))]], join: .add)),
                LayerNode(Activation(.relu)),
            ]),
        .init(
            "regions of vectors", (4, 4, 2), ulps: 256,
            [
                LayerNode(
                    Branches([
                        [LayerNode(Region(rows: 0..<2, columns: 0..<2)), LayerNode(FullyConnected(3)), LayerNode(Activation(.relu))],
                        [LayerNode(Region(rows: 1..<4, columns: 2..<4)), LayerNode(FullyConnected(5))],
                    ])),
                LayerNode(Dropout(0.5)), LayerNode(FullyConnected(4)),
            ]),
        .init(
            "outputs on the way", (3, 3, 4), ulps: 512,
            [
                LayerNode(Convolution(4, kernel: 3)),
                LayerNode(Intermediate([LayerNode(Activation(.exp)), LayerNode(FullyConnected(3))])),
                LayerNode(Activation(.relu)),
                LayerNode(
                    Residual([
                        LayerNode(Convolution(4, kernel: 3)), LayerNode(Intermediate([LayerNode(FullyConnected(3))], weight: 0.5)),
                        LayerNode(Activation(.leakyRelu)),
                    ])),
                LayerNode(FullyConnected(3)),
            ]),
        .init(
            "an output on the way to another", (2, 3, 2), ulps: 256,
            [
                LayerNode(Activation(.relu)),
                LayerNode(
                    Intermediate([
                        LayerNode(FullyConnected(5)), LayerNode(Intermediate([LayerNode(FullyConnected(3))], weight: 0.5)),
                        LayerNode(Activation(.exp)), LayerNode(FullyConnected(3)),
                    ])),
                LayerNode(FullyConnected(3)),
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
                                ])), LayerNode(graph(2, [0, 1])),
                        ],
                    ])),
                LayerNode(Branches([[LayerNode(Channels(4..<6))], [LayerNode(Channels(6..<9)), LayerNode(Convolution(6, kernel: 1))]])),
                LayerNode(SoftArgmax(joints: 2, depth: true, normalized: true)),
            ]),
    ]

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
