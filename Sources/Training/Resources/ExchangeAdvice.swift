import Collectives
import Exchange
import HandData
import Kernels
import Layers
import Memory
import Networks
import Planning
import System
import Telemetry

/// What the cost model says about the exchanges, from rates measured here and now; the same on all ranks.
struct ExchangeAdvice {
    /// The exchange to run.
    let kind: ExchangeKind
    /// Where it was chosen here, and is `split`: the weights that are divided; nil: all that can be.
    let divided: Set<String>?
    /// What the user should read.
    let lines: [String]
    /// Of the exchanges that are possible here, fastest first; none on a single rank.
    let predictions: [CostModel.Prediction]

    /// How much faster another exchange must be to be worth a line.
    private static let worthSaying = 1.5
    /// Seconds a step that are not worth a line, whatever the ratio.
    private static let noise = 0.01

    /// Measures for a second, and decides. On a single rank there is nothing to decide.
    static func make(
        _ configuration: RunConfiguration, model: RunModel, setting: ExchangePlan.Setting, data: any FrameSource,
        placement: Placement, communicator: any Communicator
    ) throws -> ExchangeAdvice {
        guard communicator.size > 1 else { return ExchangeAdvice() }
        guard setting.policy == .fused, let window = model.window else {
            let predictions = try measureStored(configuration, setting, placement: placement, communicator: communicator)
            return ExchangeAdvice(asked: configuration.exchange, predictions: predictions)
        }
        let model = try measure(
            configuration, network: window, data: data, placement: placement, communicator: communicator)
        return ExchangeAdvice(asked: configuration.exchange, model: model)
    }

    /// Of a network whose gradients are stored.
    private static func measureStored(
        _ configuration: RunConfiguration, _ setting: ExchangePlan.Setting, placement: Placement,
        communicator: any Communicator
    ) throws -> [CostModel.Prediction] {
        let team = try communicator.together {
            try WorkerTeam(count: placement.threads, spins: placement.isOversubscribed ? 0 : 20_000)
        }
        let own = try communicator.together {
            try StoredProbe.measure(
                setting.network, optimizer: setting.optimizer, shard: setting.shard, team: team, begin: communicator.barrier)
        }
        var values = [own.sample, own.forward, own.update, -Double(placement.threads), own.weight]
        try values.withUnsafeMutableBufferPointer { try communicator.maximum($0) }
        let shape = RankShape(ranks: communicator.size, nodes: communicator.place.nodes, threads: Int(-values[3]))
        let links = try LinkProbe(
            communicator: communicator, wire: configuration.wire, largest: setting.network.table.count
        ).measure()
        let model = StoredCostModel(
            network: setting.network, batch: configuration.batchSize, wireShare: Double(configuration.wire.stride) / 4,
            rates: StoredRates(sample: values[0], forward: values[1], update: values[2], weight: values[4]),
            travel: TravelTimes(shape: shape, links: links))
        // Asked for by name, `split` divides all that can be divided.
        let isChosen = configuration.exchange == .auto
        var setting = setting
        if isChosen { setting.divided = Set(setting.network.divisible(ranks: communicator.size).map(\.name)) }
        let kinds = ExchangeKind.allCases.filter { $0.problem(setting, ranks: communicator.size) == nil }
        return isChosen ? model.predictions(kinds) : kinds.map { model.prediction($0) }.sorted { $0.seconds < $1.seconds }
    }

    /// The decision, by a model.
    init(asked: ExchangeChoice, model: CostModel) {
        let setting = ExchangePlan.Setting(window: model.network, wire: .fp32, shard: 1)
        self.init(
            asked: asked,
            predictions: model.predictions(
                Set(ExchangeKind.allCases.filter { $0.problem(setting, ranks: model.shape.ranks) == nil })),
            own: asked.kind.map(model.prediction))
    }

    /// - Parameters:
    ///   - all: of the exchanges that are possible, fastest first.
    ///   - own: of the one that was asked for, where it is not among them.
    init(asked: ExchangeChoice, predictions all: [CostModel.Prediction], own given: CostModel.Prediction? = nil) {
        predictions = all
        let best = all[0]
        guard let asked = asked.kind, let own = given ?? all.first(where: { $0.kind == asked }) else {
            kind = best.kind
            divided = best.divided
            lines =
                [
                    "exchange auto: \(best.kind.rawValue)" + (best.divided.map { " of \($0.sorted().joined(separator: ", "))" } ?? "")
                        + "; predicted for a step:"
                ]
                + all.map { "  " + Self.describe($0) }
            return
        }
        kind = asked
        divided = nil
        guard own.seconds >= Self.worthSaying * best.seconds, own.seconds - best.seconds >= Self.noise else {
            lines = []
            return
        }
        lines = [
            "note: --exchange \(best.kind.rawValue) would be "
                + format("%.1f times as fast here: ", own.seconds / best.seconds)
                + format("%.0f ms a step predicted, ", best.seconds * 1000)
                + format("%.0f ms with ", own.seconds * 1000) + "\(asked.rawValue); hint: --exchange auto chooses by itself"
        ]
    }

    /// Of a single rank.
    private init() {
        (kind, divided, lines, predictions) = (.allreduce, nil, [], [])
    }

    private static func describe(_ prediction: CostModel.Prediction) -> String {
        let name = prediction.kind.rawValue
        return name + String(repeating: " ", count: max(0, 10 - name.count))
            + format("%9.1f ms", prediction.seconds * 1000)
            + format(" (%.1f ms computing and ", prediction.compute * 1000)
            + format("%.1f ms exchanging, overlapped), ", prediction.exchange * 1000)
            + format("%.1f MB sent by a rank", prediction.bytes * 1e-6)
    }

    private static func measure(
        _ configuration: RunConfiguration, network: WindowNetwork, data: any FrameSource, placement: Placement,
        communicator: any Communicator
    ) throws -> CostModel {
        let (images, active) = sample(data, network: network, input: configuration.input)
        // Not pinned: the loader's threads, which are to run anywhere, are still to be made.
        let team = try communicator.together {
            try WorkerTeam(count: placement.threads, spins: placement.isOversubscribed ? 0 : 20_000)
        }
        let shard = (configuration.batchSize + communicator.size - 1) / communicator.size
        let probe = try communicator.together {
            try ComputeProbe(
                network: network, shard: shard, batch: configuration.batchSize, images: images, team: team,
                processors: placement.sharedProcessors)
        }
        let own = try probe.measure(isQuick: configuration.exchange != .auto) { try communicator.barrier() }
        // The slowest rank decides the pace of all.
        var values = [
            own.convolution, own.output, own.product, own.immediateWeight, own.storedWeight, own.adam, active,
            -Double(placement.threads),
        ]
        try values.withUnsafeMutableBufferPointer { try communicator.maximum($0) }
        let rates = ComputeRates(
            convolution: values[0], output: values[1], product: values[2], immediateWeight: values[3],
            storedWeight: values[4], adam: values[5])
        return CostModel(
            network: network, batch: configuration.batchSize,
            shape: RankShape(ranks: communicator.size, nodes: communicator.place.nodes, threads: Int(-values[7])),
            wireShare: Double(configuration.wire.stride) / 4,
            links: try LinkProbe(
                communicator: communicator, wire: configuration.wire, largest: network.table.count
            ).measure(), rates: rates,
            activeShare: values[6])
    }

    /// Strips of some of the data set's frames, as input, and the share of the pooled values that are not background. A frame
    /// that cannot be read is background; the loader will tell of it.
    private static func sample(
        _ data: any FrameSource, network: WindowNetwork, input: DepthConditioning
    ) -> (images: [Float], activeShare: Double) {
        let pixels = network.width * network.height
        let convolution = ConvolutionPool(height: network.height, width: network.width, pool: network.pool)
        let count = min(ComputeProbe.imageCount, data.count)
        var images: [Float] = []
        var active = 0.0
        var depth = [UInt16](repeating: 0, count: pixels)
        var image = [Float](repeating: 0, count: pixels)
        for number in 0..<count {
            depth.withUnsafeMutableBufferPointer { depth in
                do throws(BadSample) {
                    try data.readFrame(number * data.count / count, into: depth)
                } catch {
                    depth.update(repeating: 0)
                }
                image.withUnsafeMutableBufferPointer { input.apply(UnsafeBufferPointer(depth), to: $0) }
            }
            active += convolution.activeShare(image) / Double(count)
            images += ComputeProbe.strip(of: image, number: number, network)
        }
        return (images, active)
    }
}

extension CostModel.Prediction {
    /// For metrics.jsonl, beside what is measured.
    var metrics: MetricValue {
        .object([
            ("step_ms", .number(seconds * 1000)), ("compute_ms", .number(compute * 1000)),
            ("exchange_ms", .number(exchange * 1000)), ("exchange_bytes", .number(bytes)),
        ])
    }
}
