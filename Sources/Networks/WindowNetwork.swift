package import Kernels
package import Layers
package import Memory

/// How parameters begin.
package enum InitialValues: String, Sendable, Codable, CaseIterable {
    /// He et al. 2015: truncated normal of variance 2 / inputs before a ReLU (1 / inputs for the last layer, a hundredth of it before exp), biases 0.
    case he
    /// The question's: truncated normal of standard deviation 0.1, biases 0.1.
    case truncatedNormal = "truncated-normal"
}

/// The question's network and its variants: convolution 5x5 to 8 channels, ReLU, max pool, FC `hidden`, ReLU, FC 48, head.
package struct WindowNetwork: Sendable, Codable, Equatable {
    package var height: Int
    package var width: Int
    /// Pooling window and stride, 2 or 4.
    package var pool: Int
    package var hidden: Int
    /// Values a sample is labelled with: 16 joints x (u, v, d).
    package var outputs: Int
    package var head: OutputHead
    package var initialValues: InitialValues
    /// Which routines compute the large layer's products; not a part of what is trained.
    package var kernels = DenseKernels.auto

    private enum CodingKeys: String, CodingKey { case height, width, pool, hidden, outputs, head, initialValues }

    package init(
        height: Int = 240, width: Int = 320, pool: Int = 2, hidden: Int = 1024, outputs: Int = 48,
        head: OutputHead = .linear, initialValues: InitialValues = .he
    ) {
        self.height = height
        self.width = width
        self.pool = pool
        self.hidden = hidden
        self.outputs = outputs
        self.head = head
        self.initialValues = initialValues
    }

    /// Inputs of the first fully connected layer: pooled rows x columns x 8 channels.
    package var flattened: Int { height / pool * (width / pool) * ConvolutionPool.channels }

    /// Why this network cannot be built, or nil.
    package var problem: String? {
        if pool != 2 && pool != 4 { return "the pooling window is \(pool); hint: --pool 2 or --pool 4" }
        if height < pool || width < pool || height % pool != 0 || width % pool != 0 {
            return "an image of \(width)x\(height) pixels does not divide into \(pool)x\(pool) windows; "
                + "hint: --pool, or an image size that is a multiple of it"
        }
        if hidden < 1 || outputs < 1 { return "a layer needs at least one unit; hint: --hidden 1024" }
        return nil
    }

    /// How the pooling windows are cut into blocks.
    package var windowBlocks: WindowBlocks { WindowBlocks(rows: height / pool, columns: width / pool) }

    /// The network as a list of layers.
    package var description: NetworkDescription {
        let isHe = initialValues == .he
        let stem = WindowStem(
            pool: pool, units: hidden, initial: isHe ? .he : .truncated(0.1), initialBias: isHe ? 0 : 0.1, kernels: kernels)
        // What exp is applied to multiplies the output, so it begins near the bias.
        let last = FullyConnected(
            outputs, initial: isHe ? head == .exp ? .small : .linear : .truncated(0.1), initialBias: isHe ? 0 : 0.1)
        let function: Activation.Function? = [.relu: .relu, .exp: .exp][head]
        return NetworkDescription(
            input: input,
            layers: [LayerNode(stem, name: ""), LayerNode(last, name: "fc2")] + (function.map { [LayerNode(Activation($0))] } ?? []))
    }

    package var input: Shape { Shape(height: height, width: width, channels: 1) }

    /// Names, shapes and places of the parameters, in the order of checkpoints.
    package var table: ParameterTable { description.table }

    /// How the large layer's rows are divided: those of each rank.
    package static func division(_ rows: [[Range<Int>]]) -> Division { Division(rows: ["fc1.weight": rows]) }

    /// Floating-point operations of one training step over `samples`: two a product-and-sum, three passes a dense layer,
    /// forward and winners-only backward (one in pool² pixels) for the convolution; elementwise work left out.
    package func operations(samples: Int) -> Double {
        let dense = 3.0 * 2 * Double(flattened * hidden + hidden * outputs) * Double(samples)
        let taps = 2.0 * Double(ConvolutionPool.weightCount)
        let convolution = taps * Double(height * width) * (1 + 1 / Double(pool * pool)) * Double(samples)
        return dense + convolution
    }
}
