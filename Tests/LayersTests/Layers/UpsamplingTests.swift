import Layers

extension Upsampling: TestedLayer {
    static var cases: [LayerCase] { [.init("upsampling", (3, 2, 5), Upsampling())] }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        network.gather(x, place.input, place.output) { ($0 / 2, $1 / 2, $2) }
    }
}
