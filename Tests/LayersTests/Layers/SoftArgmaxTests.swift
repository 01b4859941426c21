import Layers

extension SoftArgmax: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init("soft-argmax", (3, 5, 12), SoftArgmax(joints: 3)),
            .init("soft-argmax from the surface", (5, 3, 8), SoftArgmax(joints: 2, depth: true)),
            .init("soft-argmax of weights", (3, 3, 12), SoftArgmax(joints: 3, depth: true, normalized: true)),
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        let (map, network) = (place.input, network)
        return (0..<network.samples).flatMap { sample in
            let x = Array(x[sample * map.count..<(sample + 1) * map.count])
            let w =
                normalized
                ? (0..<map.positions * joints).map { x[$0 / joints * map.channels + $0 % joints] }
                : network.softmax(x, map, joints: joints)
            var y: [Double] = []
            for joint in 0..<joints {
                var sums = [0.0, 0.0, 0.0]
                for position in 0..<map.positions {
                    let (row, column) = (position / map.width, position % map.width)
                    let u: Double = 2 * (Double(column) + 0.5) / Double(map.width) - 1
                    let v: Double = 2 * (Double(row) + 0.5) / Double(map.height) - 1
                    let d: Double = depth ? Self.surface(network, sample, row, column, map) : 0
                    for (coordinate, place) in [u, v, d].enumerated() {
                        let offset: Double = x[position * map.channels + (coordinate + 1) * joints + joint]
                        sums[coordinate] += w[position * joints + joint] * (place + offset)
                    }
                }
                y += sums
            }
            return y
        }
    }

    /// The frame at a cell's centre.
    private static func surface(_ network: OracleLayers, _ sample: Int, _ row: Int, _ column: Int, _ map: Shape) -> Double {
        let shape = network.frames.shape
        let v = Int((Double(row) + 0.5) / Double(map.height) * Double(shape.height))
        let u = Int((Double(column) + 0.5) / Double(map.width) * Double(shape.width))
        return network.frames.values[sample * shape.count + (v * shape.width + u) * shape.channels]
    }
}
