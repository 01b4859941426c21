import Testing
import TestOracle

@Suite("The oracle's whole network agrees with central differences")
struct OracleNetworkTests {
    @Test("every parameter of a tiny network", arguments: [2, 4], Head.allCases)
    func everyParameter(pool: Int, head: Head) throws {
        let (height, width, hidden, outputs, samples) = (4, 8, 5, 3, 2)
        let flattened = height / pool * (width / pool) * 8
        var chosen: (OracleNetwork, [Double], [Double])?
        // The first of a few seeds whose sums all keep away from a kink by more than the differences move them.
        for seed in UInt64(1)...200 where chosen == nil {
            var values = TestValues(seed: seed)
            let network = OracleNetwork(
                height: height, width: width, pool: pool, head: head,
                parameters: [
                    "conv1.weight": values.uniform(200, bound: 0.5), "conv1.bias": values.uniform(8, bound: 0.2),
                    "fc1.weight": values.uniform(flattened * hidden, bound: 0.4),
                    "fc1.bias": values.uniform(hidden, bound: 0.2),
                    "fc2.weight": values.uniform(hidden * outputs, bound: 0.5),
                    "fc2.bias": values.uniform(outputs, bound: 0.5),
                ])
            let input = values.uniform(samples * height * width, bound: 1.5)
            let labels = values.uniform(samples * outputs, bound: 2)
            let activations = network.forward(input, samples: samples)
            if network.smallestMargin(activations) > 1e-3 && activations.hidden.contains(where: { $0 > 0 })
                && activations.hidden.contains(0)
            {
                chosen = (network, input, labels)
            }
        }
        let (network, input, labels) = try #require(chosen)
        let scale = 1 / Double(samples * outputs)
        let activations = network.forward(input, samples: samples)
        let gradients = network.gradients(
            activations,
            outputGradient: Layers.squaredErrorBackward(activations.outputs, labels: labels, scale: scale),
            samples: samples)
        for name in OracleNetwork.names {
            let numerical = centralDifferences(at: network.parameters[name]!) { moved in
                var other = network
                other.parameters[name] = moved
                return other.loss(input, labels: labels, samples: samples, scale: scale)
            }
            let analytical = try #require(gradients[name])
            #expect(analytical.contains { abs($0) > 1e-3 }, "\(name) must matter")
            // h² and 1e-16 / h are both near 1e-10, times third derivatives of a few tens for the exp head.
            let tolerance = analytical.map { 1e-8 * (1 + abs($0)) }
            #expect(mismatch(analytical, numerical, tolerance: tolerance) == nil, "\(name)")
        }
    }
}
