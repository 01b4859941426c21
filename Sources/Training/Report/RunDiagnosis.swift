import Collectives
import Diagnosis
import Exchange
import HandData
import Layers
import Networks
import Optimizers
import Planning
import System
import Telemetry

extension Trainer {
    /// What the run was asked to do, for causes and cures; all ranks call.
    static func facts(
        _ configuration: RunConfiguration, _ communicator: any Communicator, _ placement: Placement, _ advice: ExchangeAdvice
    ) throws -> RunFacts {
        var facts = RunFacts()
        let isWindow = configuration.model.networkFile == nil && configuration.preset.architecture == nil
        facts.readsRawDepth = isWindow && configuration.input == .raw
        facts.hasLargeInitialValues = isWindow && configuration.initialValues == .truncatedNormal
        facts.learningRate = configuration.learningRate
        facts.isAdaptive = configuration.optimizer.kind.type.isAdaptive
        facts.hosts = try communicator.allgather(Array(communicator.place.host.utf8)).map { String(decoding: $0, as: UTF8.self) }
        let (batch, ranks) = (configuration.batchSize, communicator.size)
        facts.batch = batch * configuration.model.accumulate
        facts.shard = (most: (batch + ranks - 1) / ranks, fewest: batch / ranks)
        facts.threads = placement.threads
        facts.processors = Double(Processors.allowed().count) / Double(communicator.place.localSize)
        facts.exchange = configuration.exchange.rawValue
        facts.bestExchange = advice.predictions.first.map { ($0.kind.rawValue, $0.seconds * 1000) }
        facts.readsFiles = configuration.data != nil
        facts.takesTurns = placement.isOversubscribed
        return facts
    }

    /// Whether the layers are looked into in the step after this many; the same on all ranks.
    static func looksInside(after step: Int) -> Bool { step == 0 || (step + 1) % PaceMeter.every == 0 }

    /// This rank's pace goes with the statistics of a step that is about to be summed over the ranks, where it is due.
    func addPace(to statistics: inout StepStatistics) {
        guard PaceMeter.isDue(after: step) else { return }
        addPace(restarts: false)
        statistics.setNote(pace.take().values, rank: communicator.rank, ranks: communicator.size)
    }

    /// What the timer has measured goes into the pace; before it restarts, too.
    func addPace(restarts: Bool) {
        pace.add(timer, restarts: restarts)
    }

    /// What layers computed in the forward pass that has just been made, over all ranks; all call where one was asked to look.
    func findings(_ inspector: LayerInspector) throws -> (units: [(layer: String, dead: Double)], maps: [(layer: String, saturated: Double)]) {
        var values = inspector.rectified.flatMap { $0.isAlive.map { $0 ? 1.0 : 0 } }
        values += inspector.softmax.flatMap { [Double($0.saturated), Double($0.maps)] }
        // The same on all ranks, as the network is.
        if communicator.size > 1, !values.isEmpty { try values.withUnsafeMutableBufferPointer { try communicator.sum($0) } }
        var rest = values[...]
        let units = inspector.rectified.map { entry in
            defer { rest = rest.dropFirst(entry.isAlive.count) }
            let dead = rest.prefix(entry.isAlive.count).count { $0 == 0 }
            return (layer: entry.layer, dead: Double(dead) / Double(max(1, entry.isAlive.count)))
        }
        let maps = inspector.softmax.map { entry in
            defer { rest = rest.dropFirst(2) }
            return (layer: entry.layer, saturated: rest.first! / max(1, rest.dropFirst().first!))
        }
        return (units, maps)
    }

    /// Says what this step tells of mistakes.
    func diagnose(_ statistics: StepStatistics) {
        guard communicator.rank == 0, statistics.valueCount > 0 else { return }
        var facts = TrainingFacts(step: step)
        facts.outputs = (
            jointError: statistics.jointErrorMillimetres, meanSquare: statistics.outputSquares.reduce(0, +) / statistics.valueCount,
            labelMeanSquare: statistics.meanSquaredLabel
        )
        // A batch of a few samples says little of a unit.
        if let seen = seenInside, statistics.samples >= 4 { (facts.units, facts.maps) = (seen.units, seen.maps) }
        if !statistics.notes.isEmpty {
            facts.pace = (first: step - PaceMeter.every, last: step - 1, ranks: RankPace.all(statistics.notes))
        }
        tell(facts)
        if diagnosis.hasToldCause { collapse.causeIsTold() }
    }

    /// Says what a validation tells of them.
    func diagnose(heldOut: Double) {
        guard communicator.rank == 0 else { return }
        var facts = TrainingFacts(step: step)
        facts.heldOut = heldOut
        tell(facts)
    }

    private func tell(_ facts: TrainingFacts) {
        for line in diagnosis.lines(facts) { console.warning(line) }
    }
}
