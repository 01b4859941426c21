import Layers

extension MaxPooling: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init("max pooling", (5, 7, 9), MaxPooling(2)), .init("max pooling, rectified", (9, 8, 3), MaxPooling(4, rectified: true)),
            .init("max pooling of 8 channels, rectified", (4, 4, 8), MaxPooling(2, rectified: true)),
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        pool(x, place, network, size) { values in rectified ? max(0, values.max()!) : values.max()! }
    }
}

extension AveragePooling: TestedLayer {
    static var cases: [LayerCase] { [.init("average pooling", (7, 8, 3), AveragePooling(3))] }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        pool(x, place, network, size) { $0.reduce(0, +) / Double($0.count) }
    }
}

private func pool(
    _ x: [Double], _ place: OraclePlace, _ network: OracleLayers, _ size: Int, _ join: ([Double]) -> Double
) -> [Double] {
    var windows = [[Double]](repeating: [], count: network.samples * place.output.count)
    for i in 0..<size {
        for j in 0..<size {
            let values = network.gather(x, place.input, place.output) { (size * $0 + i, size * $1 + j, $2) }
            for (index, value) in values.enumerated() { windows[index].append(value) }
        }
    }
    return windows.map(join)
}
