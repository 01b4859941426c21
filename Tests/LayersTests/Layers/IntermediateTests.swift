import Layers

extension Intermediate: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init(
                "outputs on the way", (3, 3, 4), ulps: 512,
                [
                    LayerNode(Convolution(4, kernel: 3)),
                    LayerNode(Intermediate([LayerNode(Activation(.exp)), LayerNode(FullyConnected(3))])),
                    LayerNode(Activation(.relu)),
                    LayerNode(
                        Residual([
                            LayerNode(Convolution(4, kernel: 3)),
                            LayerNode(Intermediate([LayerNode(FullyConnected(3))], weight: 0.5)), LayerNode(Activation(.leakyRelu)),
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
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        let number = network.intermediates.count
        network.intermediates.append([])
        network.intermediates[number] = network.run(layers, x, place.input, prefix: place.name + ".")
        return x
    }
}
