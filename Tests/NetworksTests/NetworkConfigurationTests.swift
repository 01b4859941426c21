import Foundation
import Kernels
import Networks
import Tensors
import Testing

@Suite("Network configuration")
struct NetworkConfigurationTests {
    @Test("the question's network")
    func question() {
        let configuration = NetworkConfiguration()
        #expect(configuration.problem == nil)
        #expect(configuration.flattened == 153_600)
        #expect(
            configuration.table.parameters.map(\.shape) == [
                [5, 5, 1, 8], [8], [153_600, 1024], [1024], [1024, 48], [48],
            ])
        #expect(
            configuration.table.parameters.map(\.name) == [
                "conv1.weight", "conv1.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias",
            ])
        #expect(configuration.table.smallCount < 60_000, "fc1.weight alone is tiled")
        #expect(NetworkConfiguration(pool: 4).flattened == 38_400)
    }

    @Test(
        "what cannot be built is said, with a hint",
        arguments: [
            NetworkConfiguration(pool: 3), NetworkConfiguration(pool: 0), NetworkConfiguration(height: 241),
            NetworkConfiguration(width: 322, pool: 4), NetworkConfiguration(height: 0), NetworkConfiguration(width: -2),
            NetworkConfiguration(hidden: 0), NetworkConfiguration(outputs: 0),
        ])
    func problems(configuration: NetworkConfiguration) throws {
        let problem = try #require(configuration.problem)
        #expect(problem.contains("hint:") && !problem.contains("\n"))
    }

    @Test("survives being written and read", arguments: OutputHead.allCases, InitialValues.allCases)
    func codable(head: OutputHead, initialValues: InitialValues) throws {
        let configuration = NetworkConfiguration(
            height: 12, width: 20, pool: 4, head: head, initialValues: initialValues)
        let data = try JSONEncoder().encode(configuration)
        #expect(try JSONDecoder().decode(NetworkConfiguration.self, from: data) == configuration)
    }

    @Test("operations of a step, counted by hand")
    func operations() {
        // 2 x 2 pixels, one window of 8 values, 3 hidden units, 2 outputs, 5 samples.
        let configuration = NetworkConfiguration(height: 2, width: 2, pool: 2, hidden: 3, outputs: 2)
        let dense = 3 * 2 * (8 * 3 + 3 * 2)
        let convolution = 2 * 200 * (4 + 1)
        #expect(configuration.operations(samples: 5) == Double(5 * (dense + convolution)))
    }

    @Test("the parts of a step are timed until reset")
    func times() throws {
        let rig = try NetworkRig(
            NetworkConfiguration(height: 8, width: 12, hidden: 9, outputs: 5), maximumSamples: 2, threads: 1)
        let labels = [Float](repeating: 0, count: 10)
        _ = try rig.gradients([Float](repeating: 1, count: 192), labels: labels, samples: 2)
        for part in NetworkPart.allCases { #expect(rig.network.times[part] > 0, "\(part)") }
        rig.network.times.reset()
        for part in NetworkPart.allCases { #expect(rig.network.times[part] == 0, "\(part)") }
    }
}
