import Layers

extension Channels: TestedLayer {
    static var cases: [LayerCase] { [.init("channels", (3, 2, 7), Channels(2..<5))] }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        network.gather(x, place.input, place.output) { ($0, $1, $2 + range[0]) }
    }
}
