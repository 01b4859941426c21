import Collectives
import Exchange
import HandData
import Kernels
import Layers
import Memory
import Networks
import Optimizers
import System
import Telemetry

extension Trainer {
    /// Trains until the last step; writes checkpoints, metrics and validations on the way.
    /// - Returns: the exit code: 0, or that of the reason to stop early.
    /// - Throws: `TrainingFailure`, the same on all ranks.
    package func run() throws -> Int32 {
        // An error is told on a line of its own, not behind a step's progress.
        defer { console.clearProgress() }
        do {
            try train()
        } catch let failure as TrainingFailure {
            savingNotice?.withdraw()
            // What is being written is sound, and must not be lost with the run; its own failure is not the first.
            let isSaved = failure.savesSteps && saveBeforeEnding()
            watchdog.enter(.ending, step: step)
            let isWritten = (try? checkpoints.finish()) != nil
            // Where the newest checkpoint could not be written they are what is left.
            if isWritten { checkpoints.snapshots?.end() }
            tellNews()
            loader.stop()
            directory.close()
            tellEnd(failure.exitCode == 75 ? "stopped" : "failed: \(failure.lines.first ?? "")")
            throw isSaved && isWritten ? failure.adding("; step \(step) is saved: --resume auto goes on from it") : failure
        }
        stops.clear()
        checkpoints.snapshots?.end()
        loader.stop()
        directory.close()
        tellEnd(step == totalSteps ? "done" : "stopped")
        return stopReason?.exitCode ?? 0
    }

    /// Saves the steps that are done when data ends the run; all ranks call.
    /// - Returns: whether the last step is on its way to disk, or there.
    private func saveBeforeEnding() -> Bool {
        guard step > 0 else { return false }
        do {
            if configuration.verifyEvery > 0 && lastSaved != step { try verify() }
            try save(isLast: true)
            return true
        } catch {
            return false
        }
    }

    private func train() throws {
        try supervision?.beginTraining()
        let first = step
        if lacksValidation {
            try validate()
            // With its score it can be the best.
            lastSaved = -1
            try save(isLast: false)
        }
        timer.restart()
        while step < totalSteps && !isOutOfPatience {
            try timer.measureElsewhere { try beginTrace() }
            try trainStep()
            try timer.measureElsewhere { try endTrace() }
            if step == first + 1 {
                console.line(format("first step done %.1f s after the start", Stopwatch.now - startedAt))
            }
            let isLast = step == totalSteps || stopReason != nil
            let isSaved = step % configuration.checkpointEvery == 0 || isLast
            if configuration.verifyEvery > 0 && (isSaved || step % configuration.verifyEvery == 0) {
                try timer.measureVerification { try verify() }
            }
            if isValidationDue { try timer.measureElsewhere { try validate() } }
            // The only thing that a validation decides.
            let isEarly = isOutOfPatience && !isLast
            if isEarly && !isSaved && configuration.verifyEvery > 0 { try timer.measureVerification { try verify() } }
            if isSaved || isEarly { try timer.measureElsewhere { try save(isLast: isLast || isEarly) } }
            if !isLast && !isEarly { try timer.measureElsewhere { try keepSnapshot() } }
            tellNews()
            if let reason = stopReason, step < totalSteps, !isOutOfPatience { return try leave(reason) }
        }
        try endTrace(isLast: true)
        // The last step is done: there is nothing to try again.
        stopReason = nil
        if step < totalSteps {
            console.line(
                "stopped early after step \(step): \(state.validationsSinceBest ?? 0) validations in a row gave no better held-out error "
                    + format("than %.2f mm", state.bestError ?? 0) + "; hint: a larger --patience goes on")
        } else if step == first {
            console.line("nothing to do: \(step) steps are done already; hint: a larger --steps")
        }
        try conclude()
        try finishWriting()
        try evaluateTest()
    }

    var isValidationDue: Bool { step % configuration.validateEvery == 0 || step == totalSteps }

    /// Ends a run that was asked to stop.
    private func leave(_ reason: StopReason) throws {
        try finishWriting()
        try endTrace(isLast: true)
        let text =
            "stopped \(reason.text) after step \(step), which is saved; hint: go on with --config \(directory.path)/config.yaml "
            + "--run-dir \(directory.path) --resume auto"
        if reason.exitCode != 0 { throw TrainingFailure(text, exitCode: reason.exitCode) }
        console.line(text)
    }

    /// Waits for what is on its way to disk.
    func finishWriting() throws {
        watchdog.enter(.ending, step: step)
        do {
            try checkpoints.finish()
        } catch {
            tellNews()
            throw error
        }
        tellNews()
        try communicator.together { try directory.metrics?.flush() }
    }

    private func trainStep() throws {
        // Without a batch too: layers that look at the whole batch, or are divided among the ranks, are run by all together.
        let start = Stopwatch.now
        exchange.resetCost()
        // A validation's counts for no step.
        _ = network.pass.takeExchange()
        var total: StepStatistics?
        var forwardCost = ExchangeCost()
        var problem: FiniteCheck.Problem?
        var inside: CollapseMonitor.Inside?
        var bad: [BadSample] = []
        var last: Batch?
        let isDue = isLogged(step + 1)
        let count = configuration.model.accumulate
        // The mean is over the samples that there are; until all are known, over those that there should be.
        let expected = Double(configuration.batchSize * count * NetworkDescription.outputs)
        for microBatch in 0..<count {
            let (batch, statistics) = try forward(continuesStep: microBatch > 0)
            forwardCost = exchange.cost
            bad += batch?.bad ?? []
            if total == nil { total = statistics } else { total?.merge(statistics) }
            stopReason = total?.stopReason
            if stopReason == .signal { savingNotice?.say(step: step + 1) }
            last = batch
            if statistics.samples > 0 && problem == nil, let batch {
                watchdog.enter(.backward, step: step + 1)
                problem = try finite.problem(loss: statistics, batch: batch)
                if problem == nil {
                    let scale = count == 1 ? 1 / statistics.valueCount : 1 / expected
                    problem = try backward(batch, scale: scale, microBatch: microBatch, of: count, isDue: isDue, &inside)
                }
            } else if policy == .stored && problem == nil {
                problem = try backward(nil, scale: 0, microBatch: microBatch, of: count, isDue: false, &inside)
            }
        }
        guard let statistics = total, let batch = last, statistics.samples > 0 else {
            timer.finishStep(samples: 0, exchange: forwardCost, forward: forwardCost, layers: network.pass.takeExchange())
            return try passOver(bad: bad, total!)
        }
        try checkpoints.advance()
        emptySteps = 0
        if let problem {
            try leaveOut(problem)
        } else if policy == .stored {
            problem = try update(correction: count == 1 ? 1 : expected / statistics.valueCount, batch: batch)
            if let problem { try leaveOut(problem) }
        }
        if statistics.skipped > 0 { try report(bad: bad) }
        step += 1
        if faults.strikes(.flipWeight, step: step) { Faults.flipBit(network.parameters, count: network.table.count) }
        timer.finishStep(
            samples: statistics.samples, exchange: exchange.cost, forward: forwardCost, layers: network.pass.takeExchange())
        Trace.span("diagnosis") { diagnose(statistics) }
        for warning in collapse.warnings(step: step, statistics: statistics, inside: inside, head: model.description.head) {
            console.warning(warning)
        }
        if Trace.isOn { Trace.add("step \(step)", from: start, to: Stopwatch.now) }
        log(statistics, inside: inside, isDue: isDue)
    }

    /// Reads a batch and runs it forward; what it says, summed over the ranks.
    private func forward(continuesStep: Bool) throws -> (batch: Batch?, statistics: StepStatistics) {
        watchdog.enter(.readingData, step: step + 1)
        var statistics = StepStatistics(outputs: NetworkDescription.outputs, decoder: model.pipeline.decoder, camera: camera)
        for reason in stops.current() { statistics.setStopping(reason) }
        if !continuesStep { addPace(to: &statistics) }
        var failure = checkpoints.problem
        var batch: Batch?
        if failure == nil {
            do {
                batch = try timer.measureWaiting { try loader.next() }
            } catch let bad as BadSample {
                failure = "\(bad); hint: \(bad.hint)"
            }
            failure = failure ?? batch.flatMap(storageIsAway)
        }
        if failure != nil { statistics.setFailed() }
        watchdog.enter(.forward, step: step + 1)
        if faults.strikes(.stall, step: step + 1) { Faults.sleepForever() }
        let inspector = !continuesStep && Self.looksInside(after: step) ? LayerInspector() : nil
        network.pass.inspector = inspector
        defer { network.pass.inspector = nil }
        try timer.measureForward {
            Faults.sleep(seconds: faults.delay(step: step + 1))
            _ = try network.forward(
                input: batch?.input.baseAddress ?? network.outputs, samples: batch?.count ?? 0,
                positions: batch?.positions ?? .init(start: nil, count: 0), continuesStep: continuesStep)
        }
        if let batch {
            Trace.span("loss and errors") {
                statistics.add(
                    predictions: network.outputs, labels: batch.labels.baseAddress!, samples: batch.count,
                    skipped: batch.bad.count, head: model.description.head,
                    loss: network.lossSum(labels: batch.labels.baseAddress!, samples: batch.count), geometries: batch.geometries)
            }
        }
        try checkpoints.advance()
        watchdog.enter(.agreeing, step: step + 1)
        try Trace.span("wait for ranks") { try statistics.sum(over: communicator) }
        if statistics.failures > 0 {
            let isStorageGone = try communicator.maximum(checkpoints.problem == nil ? 0 : 1) > 0
            do {
                try communicator.throwAgreed(failure)
            } catch let failure as TrainingFailure {
                throw isStorageGone ? failure : failure.savingSteps()
            }
        }
        if !continuesStep { seenInside = try inspector.map { try findings($0) } }
        return (batch, statistics)
    }

    /// The backward pass of a micro-batch; under the fused policy the update too.
    /// - Parameter batch: nil: no rank has a sample.
    /// - Returns: why there may be no update, on all ranks.
    private func backward(
        _ batch: Batch?, scale: Double, microBatch: Int, of count: Int, isDue: Bool, _ inside: inout CollapseMonitor.Inside?
    ) throws -> FiniteCheck.Problem? {
        let labels = batch?.labels.baseAddress ?? network.outputs
        if let stored = exchange as? StoredExchange {
            stored.begin(microBatch: microBatch, of: count)
            try timer.measureBackward {
                try network.backward(labels: labels, scale: Float(scale), sink: stored)
                if faults.strikes(.nanGradient, step: step + 1) { network.gradients[0] = .nan }
                try stored.finishBackward()
            }
            return nil
        }
        guard let batch else { return nil }
        try timer.measureBackward { try network.beginBackward(labels: labels, scale: Float(scale)) }
        if faults.strikes(.nanGradient, step: step + 1) { network.stem?.hiddenGradient[0] = .nan }
        if let problem = try timer.measureCheck({ try finite.problem(gradientsOf: batch) }) {
            network.abandonBackward()
            return problem
        }
        try timer.measureBackward {
            if isDue { inside = try CollapseMonitor.look(at: network, samples: batch.count, communicator: communicator) }
            optimizer.beginStep(rate: rate)
            try network.finishBackward(sink: exchange)
            finite.updated(by: optimizer)
            finishUpdate()
        }
        return nil
    }

    /// The update of stored gradients.
    /// - Parameter correction: brings the gradients to the mean over the samples that there were.
    private func update(correction: Double, batch: Batch) throws -> FiniteCheck.Problem? {
        guard let stored = exchange as? StoredExchange else { return nil }
        let clipping = configuration.model.clipping
        let norm = try timer.measureCheck { try stored.gradientNorm() } * correction
        if let problem = try finite.problem(norm: norm, batch: batch) { return problem }
        try timer.measureUpdate {
            optimizer.beginStep(rate: rate)
            if case .value(let limit) = clipping { stored.clip(value: limit / correction) }
            let scale = clipping.scale(norm: norm)
            try stored.update(scale: correction == 1 ? scale : Float(correction) * scale)
            finishUpdate()
        }
        return nil
    }

    /// The schedule's rate of the step under way.
    private var rate: Double {
        configuration.model.schedule.rate(
            step: step, stepsPerEpoch: stepsPerEpoch, totalSteps: totalSteps, base: configuration.learningRate)
    }

    private func finishUpdate() {
        Trace.span("finish update") {
            network.finishStep()
            average?.update(team: team)
        }
    }

    /// What to say where storage gave this rank none of several samples: to skip them all, seconds each, would not end.
    private func storageIsAway(_ batch: Batch) -> String? {
        let withheld = batch.bad.filter(\.mayPass)
        guard batch.count == 0, withheld.count > 1 else { return nil }
        return "\(withheld[0]), and so are all of this rank's samples of the step; hint: \(withheld[0].hint)"
    }

    /// A step whose samples cannot be read, none of them, while bad samples are skipped: no rank updates. An epoch of such
    /// steps ends the run.
    private func passOver(bad: [BadSample], _ statistics: StepStatistics) throws {
        if statistics.skipped > 0 { try report(bad: bad) }
        emptySteps += 1
        // Two epochs long, a row of empty steps holds a whole one wherever it began.
        if emptySteps * configuration.batchSize * configuration.model.accumulate >= 2 * data.training.count {
            throw TrainingFailure(
                "step \(step + 1): no sample of a whole epoch can be read; hint: look at the frames and their storage: "
                    + "--check-data lists what is wrong with each"
            ).savingSteps()
        }
        step += 1
        state.skippedSteps = (state.skippedSteps ?? 0) + 1
        console.warning("step \(step): none of the batch's samples can be read; no rank updates in this step")
    }

    /// What becomes of a step whose loss or gradient is not finite; nothing of it has touched weights or moments.
    private func leaveOut(_ problem: FiniteCheck.Problem) throws {
        let hint = "hint: --input normalized --initial-values he, or a smaller --learning-rate"
        guard configuration.onNonfinite == .skip else {
            throw TrainingFailure(
                "step \(step + 1): \(problem.text); nothing was updated, and no checkpoint holds it; \(problem.origin); \(hint)")
        }
        state.skippedSteps = (state.skippedSteps ?? 0) + 1
        console.warning("step \(step + 1): \(problem.text); no rank updates in this step; \(problem.origin); \(hint)")
    }

    /// Stops the run when a rank's replica is not that of the others.
    private func verify() throws {
        watchdog.enter(.verification, step: step)
        guard let problem = try replicas.problem(communicator: communicator) else { return }
        throw TrainingFailure(
            "step \(step): \(problem); nothing of it was saved; hint: a memory or network fault is likely: look at the hosts of "
                + "these ranks, then go on with --resume auto")
    }
}
