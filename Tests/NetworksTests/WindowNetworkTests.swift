import Foundation
import Kernels
import Layers
import Memory
import Networks
import Testing

@Suite("The question's network as a value")
struct WindowNetworkTests {
    @Test("the question's network")
    func question() {
        let window = WindowNetwork()
        #expect(window.problem == nil)
        #expect(window.flattened == 153_600)
        #expect(
            window.table.parameters.map(\.shape) == [
                [5, 5, 1, 8], [8], [153_600, 1024], [1024], [1024, 48], [48],
            ])
        #expect(
            window.table.parameters.map(\.name) == [
                "conv1.weight", "conv1.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias",
            ])
        #expect(window.table.smallCount < 60_000, "fc1.weight alone is tiled")
        #expect(WindowNetwork(pool: 4).flattened == 38_400)
    }

    @Test(
        "what cannot be built is said, with a hint",
        arguments: [
            WindowNetwork(pool: 3), WindowNetwork(pool: 0), WindowNetwork(height: 241),
            WindowNetwork(width: 322, pool: 4), WindowNetwork(height: 0), WindowNetwork(width: -2),
            WindowNetwork(hidden: 0), WindowNetwork(outputs: 0),
        ])
    func problems(window: WindowNetwork) throws {
        let problem = try #require(window.problem)
        #expect(problem.contains("hint:") && !problem.contains("\n"))
    }

    @Test("survives being written and read", arguments: OutputHead.allCases, InitialValues.allCases)
    func codable(head: OutputHead, initialValues: InitialValues) throws {
        let window = WindowNetwork(
            height: 12, width: 20, pool: 4, head: head, initialValues: initialValues)
        let data = try JSONEncoder().encode(window)
        #expect(try JSONDecoder().decode(WindowNetwork.self, from: data) == window)
    }

    @Test("operations of a step, counted by hand")
    func operations() {
        // 2 x 2 pixels, one window of 8 values, 3 hidden units, 2 outputs, 5 samples.
        let window = WindowNetwork(height: 2, width: 2, pool: 2, hidden: 3, outputs: 2)
        let dense = 3 * 2 * (8 * 3 + 3 * 2)
        let convolution = 2 * 200 * (4 + 1)
        #expect(window.operations(samples: 5) == Double(5 * (dense + convolution)))
    }

    @Test("the parts of a step are timed until reset")
    func times() throws {
        let rig = try NetworkRig(
            WindowNetwork(height: 8, width: 12, hidden: 9, outputs: 5), maximumSamples: 2, threads: 1)
        let labels = [Float](repeating: 0, count: 10)
        _ = try rig.gradients([Float](repeating: 1, count: 192), labels: labels, samples: 2)
        for part in NetworkPart.allCases { #expect(rig.network.partTimes[part] > 0, "\(part)") }
        rig.network.resetTimes()
        for part in NetworkPart.allCases { #expect(rig.network.partTimes[part] == 0, "\(part)") }
    }
}
