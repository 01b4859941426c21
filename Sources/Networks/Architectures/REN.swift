import Layers

extension NetworkDescription {
    /// Region ensemble network with four regions (Guo et al. 2017, "Region ensemble network: improving convolutional network for hand
    /// pose estimation", REN-4x6x6): a residual trunk, then fully connected layers for each quadrant of its map, then one over all.
    ///
    /// Outputs are (u, v, d) of 16 joints in crop units; the loss is smooth L1 with sigma 10 in those units.
    /// - Parameter units: of each region's fully connected layers; 1024 costs a third of the parameters.
    package static func ren(size: Int = 96, units: Int = 2048) -> NetworkDescription {
        let side = size / 8
        let half = side / 2
        let quadrants = [(0..<half, 0..<half), (0..<half, half..<side), (half..<side, 0..<half), (half..<side, half..<side)]
        return NetworkDescription(
            input: Shape(height: size, width: size, channels: 1),
            layers: [
                LayerNode(Convolution(16, kernel: 3), name: "conv1"),  // 96x96x16
                .relu("relu1"),
                LayerNode(Convolution(16, kernel: 3), name: "conv2"),
                LayerNode(MaxPooling(2, rectified: true), name: "pool1"),  // 48x48x16
            ] + residual(2, 32) + [
                LayerNode(MaxPooling(2, rectified: true), name: "pool2")  // 24x24x32
            ] + residual(3, 64) + [
                LayerNode(MaxPooling(2, rectified: true), name: "pool3"),  // 12x12x64
                LayerNode(Branches(quadrants.map { region(rows: $0, columns: $1, units: units) }), name: "regions"),
                LayerNode(FullyConnected(outputs, initial: .normal(0.001)), name: "fc"),
            ],
            loss: Loss(.smoothL1, sigma: 10))
    }

    /// A = ReLU(1x1 convolution); then A + two 3x3 convolutions of A.
    private static func residual(_ number: Int, _ channels: Int) -> [LayerNode] {
        [
            LayerNode(Convolution(channels, kernel: 1), name: "widen\(number)"),
            .relu("relu\(number)"),
            LayerNode(
                Residual([
                    LayerNode(Convolution(channels, kernel: 3), name: "conv1"),
                    .relu("relu1"),
                    LayerNode(Convolution(channels, kernel: 3), name: "conv2"),
                ]), name: "residual\(number)"),
        ]
    }

    /// Two fully connected layers on a part of the map.
    private static func region(rows: Range<Int>, columns: Range<Int>, units: Int) -> [LayerNode] {
        [
            LayerNode(Region(rows: rows, columns: columns), name: "region"),  // 6x6x64
            LayerNode(FullyConnected(units, initial: .normal(0.001)), name: "fc1"),
            .relu("relu1"),
            LayerNode(Dropout(0.5), name: "dropout1"),
            LayerNode(FullyConnected(units, initial: .normal(0.001)), name: "fc2"),
            .relu("relu2"),
            LayerNode(Dropout(0.5), name: "dropout2"),
        ]
    }
}
