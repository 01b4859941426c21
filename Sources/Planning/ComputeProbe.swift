import Collectives
import Exchange
import Layers
import Memory
package import Networks
import Optimizers
package import System

/// Measures what this rank computes in what time, by training steps of a strip of the network: the same width, layers, kernels
/// and samples, but only some rows of the image, so that it takes tens of milliseconds.
///
/// Where ranks outnumber processors they take turns, and how long a part of a step takes on the clock is a matter of whose turn
/// it is. There, and where one thread cannot know it, what is counted is how long processors work for this rank, and how many of
/// them it had in all: as given, or as measured.
package struct ComputeProbe {
    /// Rows of the large layer that keep all lanes of its forward pass busy, and more than the caches' worth of weights.
    private static let rows = 12_288
    /// Samples beyond which products only grow in proportion.
    private static let mostSamples = 100
    /// Rounds that choose an exchange, and those that only say what it takes.
    private static let (repeats, fewRepeats) = (5, 2)

    private let network: WindowNetwork
    private let strip: WindowNetwork
    private let few: Int
    private let many: Int
    private let bench: Bench

    /// A band of `image`, (height, width), as high as the strip. The bands of successive images lie at heights that spread
    /// evenly (bits reversed), so that on the average as many windows see something other than background as in the whole.
    package static func strip(
        of image: UnsafePointer<Float>, number: Int, _ network: WindowNetwork
    ) -> UnsafeBufferPointer<Float> {
        let rows = height(of: network)
        let reversed = (0..<bandBits).reduce(0) { $0 << 1 | number >> $1 & 1 }
        let first = reversed * (network.height - rows) / ((1 << bandBits) - 1)
        return UnsafeBufferPointer(start: image + first * network.width, count: rows * network.width)
    }

    /// Images after which the bands' heights repeat: as many as should be given.
    package static var imageCount: Int { 1 << bandBits }
    private static let bandBits = 4

    private static func height(of network: WindowNetwork) -> Int {
        let pooledRows = (rows * network.height / network.pool + network.flattened - 1) / network.flattened
        return min(network.height, pooledRows * network.pool)
    }

    /// - Parameters:
    ///   - shard, batch: samples of a rank and of all: products are measured at about these numbers.
    ///   - images: strips of images as the network meets them (`strip(of:number:_:)`), at least one; used over and over.
    ///   - team: as many threads as the training will use.
    ///   - processors: that this rank has for its threads when all ranks of the node compute; nil: one for each.
    /// - Throws: `ArenaError`.
    package init(
        network: WindowNetwork, shard: Int, batch: Int, images: [Float], team: WorkerTeam, processors: Double? = nil
    ) throws {
        self.network = network
        var strip = network
        strip.height = Self.height(of: network)
        self.strip = strip
        few = max(1, min(shard, Self.mostSamples))
        many = max(few, min(batch, max(2 * few, Self.mostSamples)))
        bench = try Bench(strip, samples: many, images: images, team: team, processors: processors)
    }

    /// The rates.
    /// - Parameters:
    ///   - isQuick: nothing is chosen by them, and a start should not wait for them.
    ///   - begin: called before each measurement, so that ranks that share processors measure at the same time.
    /// - Throws: what `begin` throws.
    package func measure(isQuick: Bool = false, begin: () throws -> Void) throws -> ComputeRates {
        // Round by round: a neighbour's burst on a shared machine hits some rounds of each, and the median is of the others.
        var rounds: [(few: Bench.Times, many: Bench.Times, stored: Bench.Times, adam: Double)] = []
        for _ in 0..<(isQuick ? Self.fewRepeats : Self.repeats) {
            let immediate = try bench.time(samples: few, storing: false, begin: begin)
            let larger = many > few ? try bench.time(samples: many, storing: false, begin: begin) : immediate
            let stored = try bench.time(samples: few, storing: true, begin: begin)
            try begin()
            rounds.append((immediate, larger, stored, bench.timeAdam()))
        }
        func median<Value>(_ value: (Int) -> Value, by seconds: (Value) -> Double) -> Value {
            rounds.indices.map(value).sorted { seconds($0) < seconds($1) }[(rounds.count - 1) / 2]
        }
        let immediate = median({ rounds[$0].few }, by: \.total)
        let larger = median({ rounds[$0].many }, by: \.total)
        let stored = median({ rounds[$0].stored }, by: \.total)
        let adam = median({ rounds[$0].adam }, by: { $0 })

        let pace = bench.pace
        let perWeight = pace / Double(strip.flattened * strip.hidden)
        let product =
            many > few
            ? max(0, (larger.dense - immediate.dense) / Double(many - few) * perWeight)
            : immediate.dense * perWeight / Double(few)
        let whole = immediate.dense * perWeight - product * Double(few)
        return ComputeRates(
            convolution: immediate.convolution * pace / Double(few) * Double(network.height) / Double(strip.height),
            output: immediate.output * pace / Double(few), product: product, immediateWeight: max(0, whole),
            storedWeight: max(0, whole + (stored.total - immediate.total) * perWeight), adam: adam * perWeight)
    }
}

/// The strip of a network, at work.
private final class Bench {
    /// Seconds of a step and of its parts.
    struct Times {
        var total = 0.0
        var convolution = 0.0
        var dense = 0.0
        var output = 0.0
    }

    private let network: Network
    private let adam: Adam
    private let team: WorkerTeam
    private let storing: AllreduceExchange
    private let input: UnsafeMutableBufferPointer<Float>
    private let labels: [Float]
    private let clock: @Sendable () -> Double
    private let processors: Double?
    /// Seconds in all repeats, on the wall and by `clock`.
    private var wallSeconds = 0.0
    private var clockSeconds = 0.0
    /// Holds the memory of all of it.
    private let replica: Replica

    init(_ strip: WindowNetwork, samples: Int, images: [Float], team: WorkerTeam, processors: Double?) throws {
        self.team = team
        self.processors = processors
        if processors != nil || team.count == 1 { clock = { Stopwatch.processor } } else { clock = { Stopwatch.now } }
        let pixels = samples * strip.height * strip.width
        replica = try Replica(
            alone: ExchangePlan.Setting(window: strip, wire: .fp32, shard: samples), team: team,
            room: Arena.bytes(Float.self, count: pixels))
        network = replica.network
        strip.description.initialize(network.parameters, seed: 1, team: team)
        guard let adam = replica.optimizer as? Adam else { preconditionFailure("the update is fused") }
        self.adam = adam
        storing = try AllreduceExchange(adam: adam, communicator: Solo(), team: team, table: network.table)
        input = replica.arena.carve(Float.self, count: pixels)
        for index in input.indices { input[index] = images[index % images.count] }
        labels = [Float](repeating: 1, count: samples * strip.outputs)
        network.clock = clock
    }

    /// A step, after one that is not counted.
    func time(samples: Int, storing isStoring: Bool, begin: () throws -> Void) throws -> Times {
        try step(samples: samples, storing: isStoring)
        try begin()
        network.resetTimes()
        let (wallStart, start) = (Stopwatch.now, clock())
        try step(samples: samples, storing: isStoring)
        let total = clock() - start
        wallSeconds += Stopwatch.now - wallStart
        clockSeconds += total
        let parts = network.partTimes
        return Times(
            total: total, convolution: parts[.convolutionForward] + parts[.convolutionBackward],
            dense: parts[.dense1Forward] + parts[.dense1Backward], output: parts[.dense2])
    }

    /// Seconds on the wall for one by the clock.
    var pace: Double { processors.map { 1 / $0 } ?? wallSeconds / clockSeconds }

    private func step(samples: Int, storing isStoring: Bool) throws {
        let input = UnsafePointer(input.baseAddress!)
        try network.forward(input: input, samples: samples)
        try network.beginBackward(labels: labels, scale: 1 / Float(samples * NetworkDescription.outputs))
        adam.beginStep()
        let sink: any GradientExchange = isStoring ? storing : replica.exchange
        try network.finishBackward(sink: sink)
    }

    /// Adam alone on all weights of the large layer. What it takes for gradients are none: the weights mean nothing afterwards.
    func timeAdam() -> Double {
        let range = network.table["fc1.weight"].range
        let start = clock()
        adam.apply(range, gradient: network.parameters + range.lowerBound, scale: 1, team: team)
        return clock() - start
    }
}
