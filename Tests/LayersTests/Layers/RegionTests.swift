import Layers

extension Region: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init("region", (5, 6, 3), Region(rows: 1..<4, columns: 2..<6)),
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
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        network.gather(x, place.input, place.output) { ($0 + rows[0], $1 + columns[0], $2) }
    }
}
