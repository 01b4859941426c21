import Layers

extension Branches: TestedLayer {
    static var cases: [LayerCase] {
        [
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
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        var parts: [[Double]] = []
        for (number, nodes) in branches.enumerated() {
            parts.append(network.run(nodes, x, place.input, prefix: "\(place.name).branch\(number + 1)."))
        }
        if join == .add { return parts[0].indices.map { index in parts.reduce(0) { $0 + $1[index] } } }
        let positions = network.samples * place.output.positions
        return (0..<positions).flatMap { position in
            parts.flatMap { part in part[position * part.count / positions..<(position + 1) * part.count / positions] }
        }
    }
}
