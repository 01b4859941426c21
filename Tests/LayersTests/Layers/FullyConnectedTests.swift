import Layers
import Testing
import TestOracle

extension FullyConnected: TestedLayer {
    static var cases: [LayerCase] {
        [.init("dense", (2, 3, 5), FullyConnected(7)), .init("dense without bias", (1, 1, 11), FullyConnected(3, bias: false))]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        let bias = bias ? network.parameter("bias", of: place) : [Double](repeating: 0, count: units)
        return TestOracle.Layers.dense(x, weights: network.parameter("weight", of: place), bias: bias, samples: network.samples)
    }
}

@Suite("Fully connected layers")
struct FullyConnectedTests {
    @Test("a large one, cut in blocks, gives the definition's results")
    func largeDense() throws {
        let layer = LayerCase("large dense", (1, 1, 301), samples: 5, ulps: 64, FullyConnected(467))
        let parameters = layer.parameters()
        for threads in [1, 3] {
            let rig = try layer.rig(threads: threads)
            let y = TestOracle.Layers.dense(
                layer.x, weights: parameters["dense1.weight"]!, bias: parameters["dense1.bias"]!, samples: 5)
            #expect(mismatch(try rig.forward(layer.x, mode: .training), y, tolerance: layer.tolerance(y)) == nil)
            let dy = layer.values(y.count, seed: 4)
            let found = try rig.backward(dy)
            let expected = TestOracle.Layers.denseBackward(
                layer.x, weights: parameters["dense1.weight"]!, gradient: dy, samples: 5, outputs: 467)
            #expect(mismatch(found.x!, expected.x, tolerance: layer.tolerance(expected.x)) == nil)
            #expect(mismatch(found.parameters["dense1.weight"]!, expected.weights, tolerance: layer.tolerance(expected.weights)) == nil)
            #expect(mismatch(found.parameters["dense1.bias"]!, expected.bias, tolerance: layer.tolerance(expected.bias)) == nil)
        }
    }
}
