import Layers
import TestOracle

extension PoseBasis: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init("fixed pose basis", (1, 1, 5), basis(outputs: 9, trained: false)),
            .init("trained pose basis", (1, 1, 4), basis(outputs: 27, trained: true)),
        ]
    }

    private static func basis(outputs: Int, trained: Bool) -> PoseBasis {
        var basis = PoseBasis(trained: trained)
        basis.outputs = outputs
        return basis
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        TestOracle.Layers.dense(
            x, weights: network.parameter("components", of: place), bias: network.parameter("mean", of: place), samples: network.samples)
    }
}
