import Layers

extension BatchNormalization: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init("batch normalisation", (3, 2, 11), ulps: 256, BatchNormalization()),
            .init("batch normalisation, rectified", (2, 3, 9), ulps: 256, BatchNormalization(rectified: true)),
            .init("batch normalisation of vectors", (1, 1, 5), samples: 7, ulps: 256, BatchNormalization()),
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        let channels = place.input.channels
        let rows = Double(x.count / channels)
        func parameter(_ name: String) -> [Double] { network.parameter(name, of: place) }
        let (scale, shift) = (parameter("scale"), parameter("shift"))
        var (mean, variance) = (parameter("running-mean"), parameter("running-variance"))
        if network.isTraining {
            for c in 0..<channels {
                let own = stride(from: c, to: x.count, by: channels).map { x[$0] }
                let average: Double = own.reduce(0, +) / rows
                mean[c] = average
                variance[c] = own.map { ($0 - average) * ($0 - average) }.reduce(0, +) / rows
            }
            network.statistics[place.name] = (mean, variance.map { $0 * rows / max(1, rows - 1) })
        }
        return x.indices.map { index in
            let c = index % channels
            let y = (x[index] - mean[c]) / (variance[c] + epsilon).squareRoot() * scale[c] + shift[c]
            return rectified ? max(0, y) : y
        }
    }
}
