import Collectives
import Exchange
import Layers
import Memory
import Networks
import Optimizers
import System
import Testing

/// Networks whose gradients are stored, trained by one rank and by several.
@Suite("Stored gradients on several ranks")
struct StoredExchangeTests {
    /// A preset at a small size, with its own optimiser and schedule.
    struct Preset: Sendable, CustomTestStringConvertible {
        let name: String
        let run: StoredRun
        /// Exchanges that are not the same as another one for this network.
        let kinds: [ExchangeKind]
        var testDescription: String { name }

        init(
            _ name: String, _ description: NetworkDescription, _ optimizer: OptimizerConfiguration, _ schedule: Schedule,
            _ kinds: [ExchangeKind]
        ) {
            self.name = name
            var run = StoredRun(description)
            run.optimizer = optimizer
            run.schedule = schedule
            self.run = run
            self.kinds = kinds
        }
    }

    /// One layer of 2^20 weights that can be divided.
    static let deepPrior = Preset(
        "deepprior", .deepPrior(size: 48), OptimizerConfiguration(learningRate: 1e-3),
        Schedule(.exponential(every: .epochs(1), factor: 0.96), warmup: .epochs(1)), [.allreduce, .sharded, .split])
    /// Four layers of 2^18 weights that can be divided.
    static let ren = Preset(
        "ren", .ren(size: 16, units: 512),
        OptimizerConfiguration(kind: .sgd, learningRate: 1e-3, weightDecay: 5e-4, biasRateMultiplier: 2),
        Schedule(.steps(every: .steps(8), factor: 0.1)), [.allreduce, .sharded, .split])
    static let dense = Preset(
        "dense", .dense(size: 32), OptimizerConfiguration(learningRate: 2e-3, normalizationRateMultiplier: 10),
        Schedule(.cosine(final: 0), warmup: .steps(100)), [.allreduce])
    static let hand = Preset(
        "dtrain-hand", .hand(size: 32), OptimizerConfiguration(kind: .adamw, learningRate: 2e-3),
        Schedule(.cosine(final: 0), warmup: .steps(100)), [.allreduce, .sharded])
    static let presets = [deepPrior, ren, dense, hand]
    static let divided = [deepPrior, ren]

    /// What sums in another order may change: 20 steps, each some hundreds of ulps (6e-8) of the last.
    private static let tolerance = 1e-4

    private func expectSame(
        _ results: [StoredRun.Result], as reference: StoredRun.Result, _ comment: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for (rank, result) in results.enumerated() {
            // Sums over the ranks are the same bits everywhere; so are the weights that every rank holds.
            #expect(result.losses == results[0].losses, "\(comment), rank \(rank)", sourceLocation: sourceLocation)
            #expect(result.norms == results[0].norms, "\(comment), rank \(rank)", sourceLocation: sourceLocation)
            #expect(result.sharedHashes == results[0].sharedHashes, "\(comment), rank \(rank)", sourceLocation: sourceLocation)
        }
        let worst = Self.difference(results[0].losses, reference.losses)
        #expect(worst <= Self.tolerance, "\(comment): losses differ by \(worst)", sourceLocation: sourceLocation)
    }

    /// The largest relative difference.
    private static func difference(_ values: [Double], _ expected: [Double]) -> Double {
        precondition(values.count == expected.count)
        return zip(values, expected).map { abs($0 - $1) / abs($1) }.max()!
    }

    /// The largest difference of any value of any parameter, relative to that parameter's largest value.
    private static func difference(_ values: [String: [Float]], _ expected: [String: [Float]]) -> (Double, String) {
        var worst = (0.0, "none")
        for (name, expected) in expected {
            let largest = expected.reduce(0) { max($0, abs($1)) }
            for (value, expected) in zip(values[name]!, expected) {
                let off = Double(abs(value - expected) / max(largest, .leastNormalMagnitude))
                if !(off <= worst.0) { worst = (off, name) }
            }
        }
        return worst
    }

    // MARK: Presets

    @Test("A preset's losses over 20 steps are those of one rank, on 2 to 5 ranks, with every exchange", arguments: presets)
    func sameLosses(_ preset: Preset) throws {
        let reference = try preset.run.run(.allreduce, ranks: 1)[0]
        #expect(reference.losses.allSatisfy(\.isFinite) && reference.losses[0] != reference.losses[19])
        for kind in preset.kinds {
            // What cuts gradients otherwise differs from all-reduce by the division alone, which is as uneven on 3 and 5 as it gets.
            // A network with nothing to cut has the one exchange, on every number of ranks.
            for ranks in preset.kinds.count == 1 ? [2, 3, 4, 5] : kind == .allreduce ? [2, 4] : [3, 5] {
                expectSame(try preset.run.run(kind, ranks: ranks), as: reference, "\(kind) on \(ranks) ranks")
            }
        }
    }

    @Test("Where `split` divides some of the layers that it could, the losses and weights are those of one rank", arguments: [2, 3, 5])
    func someLayersDivided(ranks: Int) throws {
        var run = Self.ren.run
        run.steps = 4
        let reference = try run.run(.allreduce, ranks: 1)[0]
        let names = run.description.divisible.map(\.name)
        try #require(names.count == 4)
        run.divided = [names[1], names[2]]
        let results = try run.run(.split, ranks: ranks)
        expectSame(results, as: reference, "\(ranks) ranks")
        let (off, name) = Self.difference(run.whole(results.map(\.parameters), .split), reference.parameters)
        #expect(off < Self.weightTolerance, "\(name)")
        for (index, name) in names.enumerated() {
            let isWhole = results[0].parameters[name]!.count == reference.parameters[name]!.count
            #expect(isWhole == (index == 0 || index == 3), "\(name)")
        }
    }

    @Test("What layers send by themselves is counted: activations of divided layers, batch statistics")
    func layersExchange() throws {
        var run = Self.ren.run
        run.steps = 3
        run.batch = 8
        #expect(try run.run(.allreduce, ranks: 1)[0].layers.total.bytes == 0)
        #expect(try run.run(.allreduce, ranks: 2)[0].layers.total.bytes == 0)
        let layers = try run.run(.split, ranks: 2)[0].layers
        // Half of x goes to the other rank, and half of dx; as much of y's parts and of its gradient, at least.
        let values = run.description.divisible.reduce(0) { $0 + $1.shape[0] + $1.shape[1] }
        let least = UInt64(3 * 2 * 4 / 2 * 4 * values)
        #expect(layers.total.bytes >= least && layers.total.bytes <= 3 * least, "\(layers.total.bytes), \(least)")
        #expect(layers.total.seconds >= layers.forward && layers.forward > 0)
        var dense = Self.dense.run
        dense.steps = 3
        let sums = try dense.run(.allreduce, ranks: 2)[0].layers
        #expect(sums.total.bytes > 0 && sums.total.seconds > sums.forward)
    }

    @Test("A rank without a sample takes part", arguments: presets, [[0, 4, 3], [7, 0], [2, 0, 5, 0]])
    func emptyRanks(_ preset: Preset, shares: [Int]) throws {
        var run = preset.run
        run.steps = 4
        let reference = try run.run(.allreduce, ranks: 1)[0]
        run.shares = shares
        for kind in preset.kinds {
            expectSame(try run.run(kind, ranks: shares.count), as: reference, "\(kind), shares \(shares)")
        }
    }

    @Test("The number of threads changes no bit, nor does a rank with other threads than the rest", arguments: presets)
    func threads(_ preset: Preset) throws {
        var run = preset.run
        run.steps = 3
        for (kind, ranks) in [(ExchangeKind.allreduce, 1)] + preset.kinds.map({ ($0, 3) }) {
            run.threads = [1]
            let reference = try run.run(kind, ranks: ranks)
            for threads in [[2], [3], [1, 3, 2]] where ranks > 1 || threads.count == 1 {
                run.threads = threads
                let results = try run.run(kind, ranks: ranks)
                for (result, expected) in zip(results, reference) {
                    #expect(result.hashes == expected.hashes, "\(kind), \(ranks) ranks, threads \(threads)")
                    #expect(result.losses == expected.losses && result.norms == expected.norms)
                    #expect(result.predictions == expected.predictions)
                }
            }
        }
    }

    @Test("Predictions of the same weights are the same bits on any number of ranks, divided or not", arguments: presets)
    func predictions(_ preset: Preset) throws {
        var run = preset.run
        run.steps = 0
        let reference = try run.run(.allreduce, ranks: 1)[0].predictions
        #expect(reference.count == 7 * NetworkDescription.outputs && reference.contains { $0 != 0 })
        for kind in preset.kinds {
            for ranks in 2...5 {
                for threads in 1...2 {
                    run.threads = [threads]
                    let found = try run.run(kind, ranks: ranks).flatMap(\.predictions)
                    #expect(
                        found.map(\.bitPattern) == reference.map(\.bitPattern), "\(kind), \(ranks) ranks, \(threads) threads")
                }
            }
        }
    }

    // MARK: Settings, under every exchange

    /// Every exchange on 1, 2 and 3 ranks.
    private static let settings: [(ExchangeKind, Int)] =
        [(.allreduce, 1)] + [ExchangeKind.allreduce, .sharded, .split].flatMap { kind in [2, 3].map { (kind, $0) } }

    /// The parameters' difference that sums in another order may leave after 4 steps, relative to the largest.
    private static let weightTolerance = 1e-3

    @Test("Clipping is of the whole gradient, under every exchange", arguments: [Clipping.norm(0.01), .value(1e-4)])
    func clipping(_ clipping: Clipping) throws {
        for preset in Self.divided {
            var run = preset.run
            run.steps = 4
            let free = try run.run(.allreduce, ranks: 1)[0]
            run.clipping = clipping
            let reference = try run.run(.allreduce, ranks: 1)[0]
            #expect(reference.norms.allSatisfy { $0 > 0.01 }, "the limit is below every norm: \(reference.norms)")
            #expect(reference.losses != free.losses, "\(preset.name): clipping changes the course")
            for (kind, ranks) in Self.settings {
                let results = try run.run(kind, ranks: ranks)
                expectSame(results, as: reference, "\(preset.name), \(kind) on \(ranks) ranks")
                #expect(Self.difference(results[0].norms, reference.norms) < Self.tolerance)
                let (off, name) = Self.difference(run.whole(results.map(\.parameters), kind), reference.parameters)
                #expect(off < Self.weightTolerance, "\(preset.name), \(kind) on \(ranks) ranks: \(name)")
            }
        }
    }

    @Test("Three micro-batches are a batch three times as large, under every exchange")
    func accumulation() throws {
        for preset in Self.divided {
            var whole = preset.run
            whole.steps = 4
            whole.batch = 21
            let reference = try whole.run(.allreduce, ranks: 1)[0]
            var run = whole
            run.batch = 7
            run.accumulate = 3
            for (kind, ranks) in Self.settings {
                let results = try run.run(kind, ranks: ranks)
                expectSame(results, as: reference, "\(preset.name), \(kind) on \(ranks) ranks")
                let (off, name) = Self.difference(run.whole(results.map(\.parameters), kind), reference.parameters)
                #expect(off < Self.weightTolerance, "\(preset.name), \(kind) on \(ranks) ranks: \(name)")
            }
        }
    }

    /// Two products and a sum in Float each step: 2 ulps of the largest weight.
    @Test("Averaged weights follow the weights, under every exchange", arguments: [false, true])
    func averages(warmsUp: Bool) throws {
        for preset in Self.divided + [Self.hand] {
            var run = preset.run
            run.steps = 4
            run.keepsCourse = true
            run.averaging = AveragedWeights.Configuration(decay: 0.9, warmsUp: warmsUp)
            let table = run.description.table
            for (kind, ranks) in Self.settings where ranks == 1 || preset.kinds.contains(kind) {
                let results = try run.run(kind, ranks: ranks)
                let course = (0..<run.steps).map { step in run.whole(results.map { $0.course[step] }, kind) }
                let averages = run.whole(results.map(\.averages), kind)
                let initial = try initialValues(run)
                for parameter in table.parameters {
                    var expected = initial[parameter.name]!.map(Double.init)
                    for (update, weights) in course.enumerated() {
                        let count = Double(update + 1)
                        let decay = !parameter.role.isTrained ? 0 : warmsUp ? min(0.9, (1 + count) / (10 + count)) : 0.9
                        for (index, weight) in weights[parameter.name]!.enumerated() {
                            expected[index] = expected[index] * decay + Double(weight) * (1 - decay)
                        }
                    }
                    let largest = expected.reduce(0) { max($0, abs($1)) }
                    let tolerance = 2 * Double(run.steps) * Double(Float.ulpOfOne) * largest
                    let off = zip(averages[parameter.name]!, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
                    #expect(off <= tolerance, "\(preset.name), \(kind) on \(ranks) ranks: \(parameter.name)")
                }
                for result in results.dropFirst() where kind != .split { #expect(result.averages == results[0].averages) }
            }
        }
    }

    private func initialValues(_ run: StoredRun) throws -> [String: [Float]] {
        let table = run.description.table
        var values = [Float](repeating: 0, count: table.count)
        let team = try WorkerTeam(count: 1)
        values.withUnsafeMutableBufferPointer {
            run.description.initialize($0.baseAddress!, seed: 3, team: team, poses: .unit)
        }
        return Dictionary(uniqueKeysWithValues: table.parameters.map { ($0.name, Array(values[$0.range])) })
    }
}
