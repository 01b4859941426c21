import Glibc
import Layers

extension Activation: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init("ReLU", (3, 5, 2), Activation(.relu)), .init("leaky ReLU", (3, 5, 2), Activation(.leakyRelu)),
            .init("exp", (3, 5, 2), Activation(.exp)), .init("linear", (3, 5, 2), Activation(.linear)),
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        x.map { x in
            switch function {
            case .relu: max(0, x)
            case .leakyRelu: x > 0 ? x : 0.01 * x
            case .exp: exp(x)
            case .linear: x
            }
        }
    }
}
