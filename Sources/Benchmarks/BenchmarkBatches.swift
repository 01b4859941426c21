import HandData
import Memory
import Networks
import System

/// Two batches of rendered hands in memory: what a step meets in training, without a loader.
final class BenchmarkBatches {
    /// Mean label of both.
    let meanLabel: [Float]
    private let arena: Arena
    private let inputs: [UnsafeMutableBufferPointer<Float>]
    private let labels: [UnsafeMutableBufferPointer<Float>]

    init(network: WindowNetwork, batch: Int, team: WorkerTeam) throws(ArenaError) {
        let pixels = network.width * network.height
        let values = HandLabel.valueCount
        let arena = try Arena(
            capacity: 2 * (Arena.bytes(Float.self, count: batch * pixels) + Arena.bytes(Float.self, count: batch * values)))
        self.arena = arena
        inputs = (0..<2).map { _ in arena.carve(Float.self, count: batch * pixels) }
        labels = (0..<2).map { _ in arena.carve(Float.self, count: batch * values) }
        let hands = SyntheticHands(seed: 1, width: network.width, height: network.height)
        let (inputs, labels) = (inputs, labels)
        team.forEach(2 * batch) { item, _ in
            let (set, sample) = (item / batch, item % batch)
            withUnsafeTemporaryAllocation(of: UInt16.self, capacity: pixels) { depth in
                let label = UnsafeMutableBufferPointer(rebasing: labels[set][sample * values..<(sample + 1) * values])
                hands.render(index: UInt64(item), depth: depth, label: label)
                DepthConditioning.normalized.apply(
                    UnsafeBufferPointer(depth),
                    to: UnsafeMutableBufferPointer(rebasing: inputs[set][sample * pixels..<(sample + 1) * pixels]))
            }
        }
        var mean = [Float](repeating: 0, count: values)
        for set in labels {
            for index in set.indices { mean[index % values] += set[index] / Float(2 * batch) }
        }
        meanLabel = mean
    }

    /// Input (batch, height, width) and labels (batch, 48) of a step.
    func batch(_ step: Int) -> (input: UnsafePointer<Float>, labels: UnsafePointer<Float>) {
        (UnsafePointer(inputs[step % 2].baseAddress!), UnsafePointer(labels[step % 2].baseAddress!))
    }
}
