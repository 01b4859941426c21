import Collectives
import Diagnosis
import Exchange
import HandData
import Networks
import Optimizers
import Telemetry

extension Trainer {
    /// What the run was asked to do, for causes and cures.
    static func facts(_ configuration: RunConfiguration, ranks: Int, _ advice: ExchangeAdvice) -> RunFacts {
        var facts = RunFacts()
        let isWindow = configuration.model.networkFile == nil && configuration.preset.architecture == nil
        facts.readsRawDepth = isWindow && configuration.input == .raw
        facts.hasLargeInitialValues = isWindow && configuration.initialValues == .truncatedNormal
        facts.learningRate = configuration.learningRate
        facts.isAdaptive = configuration.optimizer.kind != .sgd
        facts.ranks = ranks
        facts.exchange = configuration.exchange.rawValue
        facts.bestExchange = advice.predictions.first.map { ($0.kind.rawValue, $0.seconds * 1000) }
        facts.readsFiles = configuration.data != nil
        return facts
    }

    /// Says what this step tells of mistakes; before the times begin anew.
    func diagnose(_ statistics: StepStatistics, isDue: Bool) {
        guard communicator.rank == 0, statistics.valueCount > 0 else { return }
        var lines = diagnosis.lines(
            StepFacts(
                step: step, jointError: statistics.jointErrorMillimetres,
                meanSquaredOutput: statistics.outputSquares.reduce(0, +) / statistics.valueCount,
                meanSquaredLabel: statistics.meanSquaredLabel))
        if isDue, timer.elapsed > 0 {
            lines += diagnosis.lines(
                TimeFacts(
                    step: step, steps: timer.steps, loading: timer.waiting / timer.elapsed, exchanging: timer.exchangeWaiting / timer.elapsed))
        }
        for line in lines { console.warning(line) }
        if diagnosis.hasToldCause { monitor.causeIsTold() }
    }

    /// Says what a validation tells of them.
    func diagnose(heldOut: Double) {
        guard communicator.rank == 0 else { return }
        for line in diagnosis.lines(heldOut: heldOut, step: step) { console.warning(line) }
    }
}
