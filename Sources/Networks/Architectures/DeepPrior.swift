import Layers

extension NetworkDescription {
    /// DeepPrior's deep network (Oberweger, Wohlhart, Lepetit 2015, "Hands deep in deep learning", figure 1c), with its bottleneck:
    /// the last layer turns coordinates in a basis of `components` poses into a pose.
    ///
    /// Outputs are (u, v, d) of 16 joints in crop units. The basis is orthonormal and fixed, so the squared error of the 48 outputs is
    /// that of the coordinates plus what no pose of the basis can reach, a constant: the gradients are those of the paper, which
    /// trains the coordinates and appends the basis afterwards. The loss is a mean over the 48 values, theirs a sum.
    ///
    /// Theirs scales dropout in evaluation, as here. A bias and ReLU after pooling are the same as before it.
    package static func deepPrior(size: Int = 128, components: Int = 30) -> NetworkDescription {
        let wide = Initial.normal(0.01)
        return NetworkDescription(
            input: Shape(height: size, width: size, channels: 1),
            layers: [
                LayerNode(Convolution(8, kernel: 5, padding: .valid), name: "conv1"),  // 124x124x8
                LayerNode(MaxPooling(4, rectified: true), name: "pool1"),  // 31x31x8
                LayerNode(Convolution(8, kernel: 5, padding: .valid), name: "conv2"),  // 27x27x8
                LayerNode(MaxPooling(2, rectified: true), name: "pool2"),  // 13x13x8
                LayerNode(Convolution(8, kernel: 3, padding: .valid), name: "conv3"),  // 11x11x8
                .relu("relu3"),
                LayerNode(FullyConnected(1024, initial: wide), name: "fc1"),
                .relu("relu4"),
                LayerNode(Dropout(0.3, scaling: .evaluation), name: "dropout1"),
                LayerNode(FullyConnected(1024, initial: wide), name: "fc2"),
                .relu("relu5"),
                LayerNode(Dropout(0.3, scaling: .evaluation), name: "dropout2"),
                LayerNode(FullyConnected(components, initial: .glorot), name: "fc3"),
                LayerNode(PoseBasis(), name: "basis"),  // 48
            ])
    }
}
