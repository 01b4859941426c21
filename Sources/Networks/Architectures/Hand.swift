import Layers

extension NetworkDescription {
    /// `dtrain-hand`, of no published design: a small residual trunk (He et al. 2016), then each joint as the expectation of position +
    /// offset (Sun et al. 2018; offsets as in Fang et al. 2020), without any large dense layer.
    ///
    /// Outputs are (u, v, d) of 16 joints in crop units. The maps begin near 0, so that every joint begins at the crop's centre.
    package static func hand(size: Int = 96) -> NetworkDescription {
        NetworkDescription(
            input: Shape(height: size, width: size, channels: 1),
            layers: .normalizedConvolution("stem", 16, kernel: 5, stride: 2) + [  // 48x48x16
                LayerNode(MaxPooling(2), name: "pool")  // 24x24x16
            ]
                + block(1, from: 16, to: 32)  // 24x24x32
                + block(2, from: 32, to: 64, stride: 2)  // 12x12x64
                + block(3, from: 64, to: 64)
                + block(4, from: 64, to: 64)
                + [
                    LayerNode(
                        Branches([
                            [LayerNode(Convolution(outputs / 3, kernel: 1, initial: .small), name: "scores")],
                            [
                                LayerNode(Convolution(64, kernel: 3), name: "conv"),
                                .relu("relu"),
                                LayerNode(Convolution(outputs, kernel: 1, initial: .small), name: "offsets"),
                            ],
                        ]), name: "maps"),  // 12x12x64
                    LayerNode(SoftArgmax(joints: outputs / 3), name: "argmax"),
                ],
            loss: Loss(.smoothL1, sigma: 10))
    }

    /// Two 3x3 convolutions; + x, by a 1x1 convolution where the shape changes; ReLU.
    private static func block(_ number: Int, from inputs: Int, to outputs: Int, stride: Int = 1) -> [LayerNode] {
        let skip: [LayerNode] = .normalizedConvolution("conv", outputs, kernel: 1, stride: stride, rectified: false)
        return [
            LayerNode(
                Residual(
                    .normalizedConvolution("conv1", outputs, kernel: 3, stride: stride)
                        + .normalizedConvolution("conv2", outputs, kernel: 3, rectified: false),
                    skip: inputs == outputs && stride == 1 ? [] : skip), name: "block\(number)"),
            .relu("relu\(number)"),
        ]
    }
}
