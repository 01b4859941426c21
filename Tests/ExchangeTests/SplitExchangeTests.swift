import Collectives
import Exchange
import Kernels
import Layers
import Memory
import Networks
import Optimizers
import System
import Testing
import TestSupport

/// Training of a small network on hand-like frames: background and a patch, or pixels everywhere.
private struct PatchRun: Sendable {
    struct Result: Sendable {
        var losses: [Double] = []
        var heldOut: [Float] = []
        /// Of seven held-out frames, divided among the ranks, some with frames of no meaning beside them.
        var predicted: [UInt32] = []
        /// All parameters and both moments, one after the other; the large layer's from all ranks.
        var values: [Float] = []
        var small: [Float] = []
        var bytes: [UInt64] = []
    }

    var shape = WindowNetwork(height: 24, width: 36, pool: 2, hidden: 48, outputs: 48)
    var batch = 7
    var steps = 20
    var threads = 2
    var isFull = false

    private func image(_ number: Int) -> [Float] {
        let random = CounterRandom(seed: 11, stream: UInt64(number))
        let pixels = shape.height * shape.width
        func value(_ index: Int) -> Float { Float(random.bits(UInt64(index)) % 16 + 1) * 0.125 }
        if isFull { return (0..<pixels).map(value) }
        var image = [Float](repeating: 0, count: pixels)
        let side = 4 + number % 7
        let (top, left) = (number * 5 % (shape.height - side), number * 7 % (shape.width - side))
        for row in 0..<side {
            for column in 0..<side where top + row + left + column > 0 {
                image[(top + row) * shape.width + left + column] = value(row * side + column)
            }
        }
        return image
    }

    private func label(_ number: Int) -> [Float] {
        let random = CounterRandom(seed: 12, stream: UInt64(number))
        return (0..<shape.outputs).map { Float(random.bits(UInt64($0)) % 64) }
    }

    /// - Parameter split: nil: one rank that holds everything.
    func run(_ communicator: any Communicator, split: Bool) throws -> Result {
        let team = try WorkerTeam(count: threads)
        let own = part(communicator.rank, of: communicator.size, total: batch)
        let maximum = part(0, of: communicator.size, total: batch).count
        let layout = SplitLayout(blocks: shape.windowBlocks, ranks: communicator.size)
        let description = shape.description
        var setting = Network.Setting(maximumSamples: maximum)
        setting.storesGradients = false
        setting.division = split ? layout.division : .none
        let table = description.table(division: setting.division, rank: communicator.rank)
        let pixels = shape.height * shape.width
        let arena = try Arena(
            capacity: Network.bytes(description, setting, threads: threads, rank: communicator.rank)
                + Adam.bytes(for: table) + Arena.bytes(Float.self, count: maximum * pixels)
                + (split
                    ? SplitExchange.bytes(
                        layout: layout, rank: communicator.rank, outputs: shape.hidden, maximumSamples: maximum,
                        threads: threads)
                    : SoloExchange.bytes(table: table, threads: threads)))
        let network = Network(description, setting, team: team, communicator: communicator, arena: arena)
        let images = arena.carve(Float.self, count: maximum * pixels)
        // A large epsilon: a difference in rounding does not become a difference in direction.
        let adam = Adam(
            configuration: Adam.Configuration(learningRate: 1e-3, epsilon: 1e-2), weights: network.parameters, table: table,
            arena: arena)
        let exchange: any GradientExchange
        if split {
            let divided = SplitExchange(
                adam: adam, communicator: communicator, team: team, layout: layout, outputs: shape.hidden,
                maximumSamples: maximum, arena: arena)
            network.stem!.windowLayer = divided
            exchange = divided
        } else {
            exchange = SoloExchange(adam: adam, table: table, threads: threads, arena: arena)
        }
        description.initialize(
            network.parameters, seed: 3, team: team, division: setting.division, rank: communicator.rank)

        var result = Result()
        for step in 0..<steps {
            let numbers = own.map { step * 100 + $0 }
            let (inputs, labels) = (numbers.flatMap(image), numbers.flatMap(label))
            exchange.resetCost()
            _ = images.update(fromContentsOf: inputs)
            try network.forward(input: images.baseAddress!, samples: own.count)
            let loss = try communicator.sum(network.lossSum(labels: labels, samples: own.count))
            result.losses.append(loss / Double(batch * shape.outputs))
            try network.beginBackward(labels: labels, scale: 1 / Float(batch * shape.outputs))
            adam.beginStep()
            try network.finishBackward(sink: exchange)
            result.bytes.append(exchange.cost.bytes)
        }
        // Ranks without a sample of their own take part.
        let last = communicator.size - 1
        try network.forward(input: image(9_000), samples: communicator.rank == last ? 1 : 0)
        let predicted = communicator.rank == last ? (0..<shape.outputs).map { network.outputs[$0] } : []
        result.heldOut = try communicator.allgather(predicted.flatMap { bytes($0) }).flatMap(floats)
        result.predicted = try predict(network, communicator, setting)
        for array in [network.parameters, adam.firstMoments, adam.secondMoments] {
            result.small += (0..<table.smallCount).map { array[$0] }
            result.values += try whole(array, table: table, layout: layout, split: split, communicator)
        }
        result.values += result.small
        return result
    }

    /// Predictions with weights that do not depend on the exchange.
    private func predict(
        _ network: Network, _ communicator: any Communicator, _ setting: Network.Setting
    ) throws -> [UInt32] {
        shape.description.initialize(
            network.parameters, seed: 4, team: try WorkerTeam(count: 1), division: setting.division, rank: communicator.rank)
        network.weightsChanged()
        let own = part(communicator.rank, of: communicator.size, total: 7)
        var outputs: [Float] = []
        for round in 0..<part(0, of: communicator.size, total: 7).count {
            // One frame at a time, or between others; ranks that are done take part.
            let number = own.lowerBound + round
            let isBetween = number % 2 == 0 && setting.maximumSamples >= 3
            let stray = [Float](repeating: number % 4 == 0 ? .nan : 1e20, count: shape.height * shape.width)
            let frame = image(9_000 + number).map { number % 3 == 0 ? $0 * 700 : $0 }
            let input = isBetween ? stray + frame + image(number) : frame
            let count = own.contains(number) ? isBetween ? 3 : 1 : 0
            try network.predict(input: input, samples: count)
            if count > 0 {
                let first = isBetween ? shape.outputs : 0
                outputs += (first..<first + shape.outputs).map { network.outputs[$0] }
            }
        }
        return try communicator.allgather(outputs.flatMap { bytes($0) }).flatMap(floats).map(\.bitPattern)
    }

    /// The large layer's values of all ranks, in order.
    private func whole(
        _ array: UnsafeMutablePointer<Float>, table: ParameterTable, layout: SplitLayout, split: Bool,
        _ communicator: any Communicator
    ) throws -> [Float] {
        let own = table["fc1.weight"].range.map { array[$0] }
        guard split else { return own }
        var values = [Float](repeating: .nan, count: shape.flattened * shape.hidden)
        for (rank, part) in try communicator.allgather(own.flatMap { bytes($0) }).enumerated() {
            var place = 0
            let part = floats(part)
            for rows in layout.rows(heldBy: rank) {
                for index in rows.lowerBound * shape.hidden..<rows.upperBound * shape.hidden {
                    values[index] = part[place]
                    place += 1
                }
            }
        }
        return values
    }

    private func bytes(_ value: Float) -> [UInt8] { withUnsafeBytes(of: value.bitPattern) { Array($0) } }

    private func floats(_ bytes: [UInt8]) -> [Float] {
        stride(from: 0, to: bytes.count, by: 4).map { start in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) })
        }
    }
}

/// `split` on simulated ranks against one rank that holds everything.
@Suite("Split exchange")
struct SplitExchangeTests {
    private func expectSame(_ result: PatchRun.Result, _ expected: PatchRun.Result, _ comment: String) {
        for (step, (loss, other)) in zip(result.losses, expected.losses).enumerated() {
            #expect(abs(loss - other) <= 1e-5 * other, "\(comment), step \(step)")
        }
        #expect(result.heldOut.count == 48)
        for (value, other) in zip(result.heldOut, expected.heldOut) { #expect(abs(value - other) <= 1e-3, "\(comment)") }
        let largest = zip(result.values, expected.values).map { abs($0 - $1) }.max()!
        #expect(result.values.count == expected.values.count && largest <= 2e-5, "\(comment): \(largest)")
    }

    @Test("20 steps go the way of one rank, batches that do not divide", arguments: [(1, 5), (2, 7), (3, 5), (3, 7), (4, 7), (5, 7), (5, 12)])
    func ranks(ranks: Int, batch: Int) throws {
        let run = PatchRun(batch: batch)
        let expected = try run.run(Solo(), split: false)
        #expect(expected.losses[19] < expected.losses[0])
        let results = try Simulated.run(ranks: ranks) { try run.run($0, split: true) }
        for (rank, result) in results.enumerated() {
            expectSame(result, expected, "rank \(rank)")
            #expect(result.small == results[0].small && result.losses == results[0].losses)
            #expect(result.predicted == expected.predicted && result.predicted.count == 7 * 48, "rank \(rank)")
        }
    }

    @Test("frames without background, pool 4, rows of windows that blocks do not divide", arguments: [2, 3])
    func others(ranks: Int) throws {
        for run in [
            PatchRun(batch: 5, steps: 5, isFull: true),
            PatchRun(shape: WindowNetwork(height: 24, width: 40, pool: 4, hidden: 32, outputs: 48), batch: 6, steps: 5),
            PatchRun(
                shape: WindowNetwork(height: 20, width: 28, pool: 2, hidden: 16, outputs: 48), batch: 6, steps: 5,
                threads: 3),
        ] {
            let expected = try run.run(Solo(), split: false)
            for result in try Simulated.run(ranks: ranks, { try run.run($0, split: true) }) {
                expectSame(result, expected, "\(run.shape)")
            }
        }
    }

    @Test("the same bits in every run, with any number of threads") func bits() throws {
        var run = PatchRun(batch: 8, steps: 5)
        let expected = try Simulated.run(ranks: 3) { [run] in try run.run($0, split: true) }
        for threads in [1, 2, 4] {
            run.threads = threads
            let results = try Simulated.run(ranks: 3) { [run] in try run.run($0, split: true) }
            #expect(zip(results, expected).allSatisfy { $0.values == $1.values && $0.losses == $1.losses })
        }
    }

    @Test("every block has one holder; ranks hold as many as they can, and rows of a hand's size are shared", arguments: 1...40)
    func layout(ranks: Int) {
        let blocks = WindowBlocks(rows: 120, columns: 160)
        let layout = SplitLayout(blocks: blocks, ranks: ranks)
        let rows = (0..<ranks).flatMap { layout.rows(heldBy: $0) }.sorted { $0.lowerBound < $1.lowerBound }
        #expect(rows.first?.lowerBound == 0 && rows.last?.upperBound == 153_600)
        #expect(zip(rows, rows.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
        let counts = (0..<ranks).map { layout.held(by: $0).numbers.count }
        #expect(counts.max()! - counts.min()! <= 1, "\(counts)")
        // A hand: rows 40 to 79 of windows, columns 60 to 99.
        let hand = (0..<ranks).map { rank in
            layout.held(by: rank).numbers.count { (40..<80).contains($0 / 40) && (15..<25).contains($0 % 40) }
        }
        #expect(Double(hand.max()!) <= 1.2 * Double(400) / Double(ranks) + 2, "\(hand)")
    }
}
