import Layers

extension NetworkDescription {
    /// JGR-P2O (Fang et al. 2020, "JGR-P2O: joint graph reasoning based pixel-to-offset prediction network for 3D hand pose
    /// estimation"): hourglasses whose pixels vote for joints, joints that learn from each other along the bones, and each joint as the
    /// expectation of pixel + offset.
    ///
    /// Outputs are (u, v, d) of 16 joints in crop units, one of each stack; the loss is Huber's. The paper adds the offset maps' own
    /// loss with a weight of 1e-4, which is left out here. Convolutions that batch normalisation follows have no bias.
    package static func dense(size: Int = 96, stacks: Int = 2) -> NetworkDescription {
        NetworkDescription(
            input: Shape(height: size, width: size, channels: 1),
            layers: convolution("stem", 32, kernel: 7, stride: 2)  // 48x48x32
                + bottleneck("block1", from: 32, to: 64)  // 48x48x64
                + [LayerNode(MaxPooling(2), name: "pool")]  // 24x24x64
                + bottleneck("block2", from: 64, to: 64)
                + bottleneck("block3", from: 64, to: 128)  // 24x24x128
                + (1..<max(1, stacks)).map { LayerNode(Residual(stack() + output() + merge()), name: "stack\($0)") }
                + stack() + maps() + [argmax()],
            loss: Loss(.huber, delta: 0.01))
    }

    /// What 1x1 convolutions and the others begin with, truncated N(0, 0.01).
    private static var initial: Initial { .truncated(0.01) }

    private static func convolution(
        _ name: String, _ channels: Int, kernel: Int = 1, stride: Int = 1, rectified: Bool = true, scale: Double = 1
    ) -> [LayerNode] {
        .normalizedConvolution(
            name, channels, kernel: kernel, stride: stride, rectified: rectified, initial: initial, scale: scale)
    }

    /// Res(ci, co): 1x1 to co / 2, 3x3, 1x1 to co, each with batch normalisation; + x; ReLU. It begins as its skip (Goyal et al. 2017,
    /// "Accurate, large minibatch SGD", section 5.1): else its first steps magnify rounding (Docs/training.md).
    private static func bottleneck(_ name: String, from inputs: Int = 128, to outputs: Int = 128) -> [LayerNode] {
        [
            LayerNode(
                Residual(
                    convolution("conv1", outputs / 2) + convolution("conv2", outputs / 2, kernel: 3)
                        + convolution("conv3", outputs, rectified: false, scale: 0),
                    skip: inputs == outputs ? [] : convolution("conv", outputs, rectified: false)), name: name),
            .relu("\(name)-relu"),
        ]
    }

    /// HG(x, n): half the size and back, n times inside each other: 24, 12, 6, 3.
    private static func hourglass(_ depth: Int = 3) -> LayerNode {
        LayerNode(
            Residual(
                [LayerNode(MaxPooling(2), name: "pool")] + bottleneck("down")
                    + (depth > 1 ? [hourglass(depth - 1)] : []) + bottleneck("up")
                    + [LayerNode(Upsampling(), name: "upsample")],
                skip: bottleneck("beside")), name: "hourglass")
    }

    private static var joints: Int { outputs / 3 }

    /// Gives w, each joint's weights over the pixels, and x', the features: (24, 24, 16 + 128).
    private static func stack() -> [LayerNode] {
        [hourglass()] + bottleneck("features") + [
            // y; and w with the joints' features spread over the map, m: 128 + 16 + 128.
            LayerNode(Branches([[], [votes(), LayerNode(JointGraph(), name: "graph")]]), name: "reasoning"),
            // w, and x' of m and y.
            LayerNode(
                Branches([
                    [LayerNode(Channels(128..<128 + joints), name: "weights")],
                    [
                        LayerNode(
                            Branches([
                                [LayerNode(Channels(128 + joints..<256 + joints), name: "joints")] + convolution("conv", 128),
                                [LayerNode(Channels(0..<128), name: "features")],
                            ]), name: "join")
                    ] + convolution("conv", 128),
                ]), name: "features2"),
        ]
    }

    /// A score a joint, and features.
    private static func votes() -> LayerNode {
        LayerNode(
            Branches([
                [LayerNode(Convolution(joints, kernel: 1, initial: initial), name: "scores")],
                convolution("features", 128),
            ]), name: "votes")
    }

    private static var weights: LayerNode { LayerNode(Channels(0..<joints), name: "weights") }
    private static var features: LayerNode { LayerNode(Channels(joints..<joints + 128), name: "features") }
    private static var offsets: LayerNode {
        LayerNode(Convolution(outputs, kernel: 1, bias: false, initial: initial), name: "offsets")
    }
    private static func argmax() -> LayerNode {
        LayerNode(SoftArgmax(joints: joints, depth: true, normalized: true), name: "argmax")
    }

    /// w, and the offsets du, dv, dd of x': what the joints are made of.
    private static func maps() -> [LayerNode] {
        [LayerNode(Branches([[weights], [features, offsets]]), name: "maps")]
    }

    /// Maps and x', with the joints as an output on the way.
    private static func output() -> [LayerNode] {
        [
            LayerNode(Branches([[weights], [features, offsets], [features]]), name: "maps"),
            LayerNode(
                Intermediate([LayerNode(Channels(0..<4 * joints), name: "maps"), argmax()]), name: "output"),
        ]
    }

    /// What the next stack is given besides x: a 1x1 convolution of maps and x' together, the same as the sum of one of each.
    private static func merge() -> [LayerNode] { [LayerNode(Convolution(128, kernel: 1, initial: initial), name: "merge")] }
}
