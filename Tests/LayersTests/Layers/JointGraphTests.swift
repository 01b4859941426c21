import Layers
import TestOracle

extension JointGraph: TestedLayer {
    static var cases: [LayerCase] { [.init("joint graph", (3, 4, 3 + 5), ulps: 256, small(3, [0, 1, 1, 2]))] }

    /// Of few joints.
    static func small(_ joints: Int, _ edges: [Int]) -> JointGraph {
        var graph = JointGraph()
        (graph.joints, graph.edges) = (joints, edges)
        return graph
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        let (map, network) = (place.input, network)
        let (features, weight) = (map.channels - joints, network.parameter("weight", of: place))
        var pairs = Set((0..<joints).map { [$0, $0] })
        // Palm, root, middle, tip of five fingers, unless bones are given.
        var fingers: [[Int]] = []
        for root in [1, 4, 7, 10, 13] { fingers += [[0, root], [root, root + 1], [root + 1, root + 2]] }
        let given: [[Int]] = stride(from: 0, to: edges.count, by: 2).map { [edges[$0], edges[$0 + 1]] }
        for bone in given.isEmpty ? fingers : given {
            pairs.insert(bone)
            pairs.insert([bone[1], bone[0]])
        }
        let degree = (0..<joints).map { joint in Double(pairs.count { $0[0] == joint }) }
        return network.eachSample(x, map) { x in
            let w = network.softmax(x, map, joints: joints)
            var f = [Double](repeating: 0, count: joints * features)
            for p in 0..<map.positions {
                for j in 0..<joints {
                    for c in 0..<features {
                        f[j * features + c] += w[p * joints + j] * x[p * map.channels + joints + c]
                    }
                }
            }
            var mixed = [Double](repeating: 0, count: joints * features)
            for i in 0..<joints {
                for j in 0..<joints where pairs.contains([i, j]) {
                    let share: Double = 1 / (degree[i] * degree[j]).squareRoot()
                    for c in 0..<features { mixed[i * features + c] += share * f[j * features + c] }
                }
            }
            let none = [Double](repeating: 0, count: features)
            let joined = TestOracle.Layers.rectifier(
                TestOracle.Layers.dense(mixed, weights: weight, bias: none, samples: joints))
            var y: [Double] = []
            for p in 0..<map.positions {
                for j in 0..<joints { y.append(w[p * joints + j]) }
                for c in 0..<features {
                    var sum = 0.0
                    for j in 0..<joints { sum += w[p * joints + j] * joined[j * features + c] }
                    y.append(sum / Double(joints))
                }
            }
            return y
        }
    }
}
