import Layers

extension Residual: TestedLayer {
    static var cases: [LayerCase] {
        [
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
                    LayerNode(
                        Residual([LayerNode(Dropout(0.5)), LayerNode(Activation(.relu))], skip: [LayerNode(Activation(.leakyRelu))])),
                    LayerNode(Activation(.linear)), LayerNode(Dropout(0.2)),
                ]),
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        let one = network.run(layers, x, place.input, prefix: place.name + ".")
        let other = network.run(skip, x, place.input, prefix: place.name + ".skip.")
        return zip(one, other).map { $0 + $1 }
    }
}
