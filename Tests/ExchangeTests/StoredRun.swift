import Collectives
import Exchange
import Layers
import Memory
import Networks
import Optimizers
import System
import TestSupport

/// Some steps of a network whose gradients are stored, on made-up data, as the training loop takes them: what exchanges,
/// numbers of ranks and settings are compared by.
struct StoredRun: Sendable {
    let description: NetworkDescription
    var optimizer = OptimizerConfiguration(learningRate: 1e-3)
    var schedule = Schedule.constant
    /// Samples of the global micro-batch.
    var batch = 7
    var steps = 20
    var accumulate = 1
    var clipping = Clipping.none
    var averaging: AveragedWeights.Configuration?
    var wire = WireFormat.fp32
    /// The weights that `split` divides; nil: all that can be.
    var divided: Set<String>?
    /// Of each rank in turn.
    var threads = [1]
    /// Samples of each rank; nil: contiguous parts of nearly the same size.
    var shares: [Int]?
    /// Whether the parameters after each step are kept.
    var keepsCourse = false

    init(_ description: NetworkDescription) { self.description = description }

    /// Samples there are: they come again.
    private static let samples: UInt64 = 21
    private static let stepsPerEpoch = 3.0
    private static let seed: UInt64 = 5

    /// What one rank has at the end.
    struct Result: Sendable {
        /// Of each step, summed over the ranks.
        var losses: [Double] = []
        /// Of the gradients, as each step's update was given them, before clipping.
        var norms: [Double] = []
        /// After each step: the bits of all weights and statistics that every rank holds, as one number.
        var sharedHashes: [UInt64] = []
        /// After each step: the bits of all that the rank holds, with the optimiser's state and the averages.
        var hashes: [UInt64] = []
        /// The rank's parameters, by name, and the averages.
        var parameters: [String: [Float]] = [:]
        var averages: [String: [Float]] = [:]
        /// After each step, the rank's parameters, where they are kept.
        var course: [[String: [Float]]] = []
        /// What the rank's layers exchanged by themselves, in all steps.
        var layers = LayerExchange()
        /// Predictions of 7 samples by the last weights, the rank's own samples.
        var predictions: [Float] = []
    }

    func run(_ kind: ExchangeKind, ranks: Int) throws -> [Result] {
        if ranks == 1 { return [try run(kind, Solo())] }
        return try Simulated.run(ranks: ranks) { try run(kind, $0) }
    }

    /// Which part of a batch a rank has.
    private func own(_ rank: Int, of ranks: Int) -> Range<Int> {
        guard let shares, ranks > 1 else { return part(rank, of: ranks, total: batch) }
        let first = shares[..<rank].reduce(0, +)
        return first..<first + shares[rank]
    }

    private func run(_ kind: ExchangeKind, _ communicator: any Communicator) throws -> Result {
        let (rank, ranks) = (communicator.rank, communicator.size)
        let own = own(rank, of: ranks)
        let most = (0..<ranks).map { self.own($0, of: ranks).count }.max()!
        let threadCount = threads[rank % threads.count]
        let team = try WorkerTeam(count: threadCount, spins: 0)
        var setting = ExchangePlan.Setting(
            network: description, window: nil, policy: .stored, optimizer: optimizer, wire: wire, accumulate: accumulate,
            shard: most)
        setting.divided = divided
        let plan = ExchangePlan(kind, setting, rank: rank, ranks: ranks, threads: threadCount, mostThreads: threads.max()!)
        let replica = try Replica(
            plan, averaging: averaging, communicator: communicator, team: team,
            arena: Arena(capacity: Replica.bytes(plan, hasAverage: averaging != nil)))
        let (network, optimizer, average) = (replica.network, replica.optimizer, replica.average)
        network.pass.seed = Self.seed
        guard let stored = replica.exchange as? StoredExchange else { preconditionFailure("the policy is stored") }
        description.initialize(
            network.parameters, seed: 3, team: team, poses: .unit, division: plan.division, rank: rank, table: network.table)
        network.weightsChanged()
        average?.begin(team: team)

        var result = Result()
        for step in 0..<steps {
            var loss = [0.0]
            let scale = 1 / Float(batch * accumulate * NetworkDescription.outputs)
            for microBatch in 0..<accumulate {
                let first = (step * accumulate + microBatch) * batch
                let positions = own.map { UInt64(first + $0) }
                let (inputs, labels) = self.samples(positions)
                // The input stays where it is until the backward pass is over.
                try inputs.withUnsafeBufferPointer { inputs in
                    try positions.withUnsafeBufferPointer { positions in
                        try network.forward(input: inputs.baseAddress!, samples: own.count, positions: positions)
                        loss[0] += network.lossSum(labels: labels, samples: own.count)
                        stored.begin(microBatch: microBatch, of: accumulate)
                        try network.backward(labels: labels, scale: scale, sink: stored)
                        try stored.finishBackward()
                    }
                }
            }
            try loss.withUnsafeMutableBufferPointer { try communicator.sum($0) }
            result.losses.append(loss[0] / Double(batch * accumulate * NetworkDescription.outputs))
            let norm = try stored.gradientNorm()
            result.norms.append(norm)
            optimizer.beginStep(
                rate: schedule.rate(
                    step: step, stepsPerEpoch: Self.stepsPerEpoch, totalSteps: steps, base: self.optimizer.learningRate))
            if case .value(let limit) = clipping { stored.clip(value: limit) }
            try stored.update(scale: clipping.scale(norm: norm))
            network.finishStep()
            average?.update(team: team)
            note(network, plan, optimizer, average, &result)
        }
        result.layers = network.pass.takeExchange()
        try predict(network, communicator, &result)
        return result
    }

    private func note(
        _ network: Network, _ plan: ExchangePlan, _ optimizer: any Optimizer, _ average: AveragedWeights?,
        _ result: inout Result
    ) {
        let parameters = values(network.parameters, network.table)
        if keepsCourse { result.course.append(parameters) }
        result.parameters = parameters
        let shared = network.table.parameters.filter { plan.division.rows[$0.name] == nil }
        result.sharedHashes.append(shared.reduce(0) { hash(parameters[$1.name]!, $0) })
        var all = network.table.parameters.reduce(0) { hash(parameters[$1.name]!, $0) }
        for state in optimizer.memory.states {
            all = hash(Array(UnsafeBufferPointer(start: state, count: optimizer.held.count)), all)
        }
        if let average {
            result.averages = values(average.values, network.table)
            all = network.table.parameters.reduce(all) { hash(result.averages[$1.name]!, $0) }
        }
        result.hashes.append(all)
    }

    private func predict(_ network: Network, _ communicator: any Communicator, _ result: inout Result) throws {
        let own = own(communicator.rank, of: communicator.size)
        let (inputs, _) = samples(own.map { UInt64(1000 + $0) })
        let outputs = try network.predict(input: inputs, samples: own.count)
        result.predictions = Array(UnsafeBufferPointer(start: outputs, count: own.count * NetworkDescription.outputs))
    }

    /// The whole parameters of a run, put together from what its ranks hold.
    func whole(_ values: [[String: [Float]]], _ kind: ExchangeKind) -> [String: [Float]] {
        guard kind == .split, values.count > 1 else { return values[0] }
        let weights = description.divisible.filter { divided?.contains($0.name) ?? true }
        let division = description.division(ranks: values.count, of: weights)
        // Ranks hold contiguous rows, in their order.
        return values[0].merging(
            division.rows.keys.map { name in (name, values.flatMap { $0[name]! }) }, uniquingKeysWith: { $1 })
    }

    // MARK: Data

    /// Inputs in -1 ..< 1 and labels in -0.5 ..< 0.5 of samples by their positions in the order.
    private func samples(_ positions: [UInt64]) -> (inputs: [Float], labels: [Float]) {
        func numbers(_ count: Int, _ stream: UInt64) -> [Float] {
            var random = CounterRandom(seed: 11, stream: stream).generator()
            return (0..<count).map { _ in 2 * random.uniform() - 1 }
        }
        let inputs = positions.flatMap { numbers(description.input.count, $0 % Self.samples) }
        let labels = positions.flatMap { numbers(NetworkDescription.outputs, 500 + $0 % Self.samples).map { $0 / 2 } }
        // The address of an empty array is none.
        return (inputs.isEmpty ? [0] : inputs, labels.isEmpty ? [0] : labels)
    }

    private func values(_ base: UnsafePointer<Float>, _ table: ParameterTable) -> [String: [Float]] {
        Dictionary(
            uniqueKeysWithValues: table.parameters.map {
                ($0.name, Array(UnsafeBufferPointer(start: base + $0.range.lowerBound, count: $0.count)))
            })
    }

    /// FNV-1a over the bits.
    private func hash(_ values: [Float], _ start: UInt64) -> UInt64 {
        values.reduce(start ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1.bitPattern)) &* 0x100_0000_01B3 }
    }
}
