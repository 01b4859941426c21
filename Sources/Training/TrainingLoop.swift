import Collectives
import Exchange
import HandData
import Kernels
import Networks
import Optimizers
import Telemetry
import Tensors

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
            // What is being written is sound, and must not be lost with the run; its own failure is not the first.
            watchdog.enter(.ending, step: step)
            try? checkpoints.finish()
            tellNews()
            loader.stop()
            directory.close()
            throw failure
        }
        stops.clear()
        loader.stop()
        directory.close()
        return stopReason?.exitCode ?? 0
    }

    private func train() throws {
        timer.restart()
        let first = step
        while step < totalSteps {
            try trainStep()
            if step == first + 1 {
                console.line(format("first step done %.1f s after the start", Stopwatch.now - startedAt))
            }
            let isLast = step == totalSteps || stopReason != nil
            let isSaved = step % configuration.checkpointEvery == 0 || isLast
            if configuration.verifyEvery > 0 && (isSaved || step % configuration.verifyEvery == 0) {
                try timer.measureVerification { try verify() }
            }
            if step % configuration.validateEvery == 0 || step == totalSteps {
                try timer.measureElsewhere { try validate() }
            }
            if isSaved { try timer.measureElsewhere { try save(isLast: isLast) } }
            tellNews()
            if let reason = stopReason, step < totalSteps { return try leave(reason) }
        }
        // The last step is done: there is nothing to try again.
        stopReason = nil
        if step == first { console.line("nothing to do: \(step) steps are done already; hint: a larger --steps") }
        try conclude()
        try finishWriting()
    }

    /// Ends a run that was asked to stop.
    private func leave(_ reason: StopReason) throws {
        try finishWriting()
        let text =
            "stopped \(reason.text) after step \(step), which is saved; hint: go on with --config \(directory.path)/config.yaml "
            + "--run-dir \(directory.path) --resume auto"
        if reason.exitCode != 0 { throw TrainingFailure(text, exitCode: reason.exitCode) }
        console.line(text)
    }

    /// Waits for what is on its way to disk.
    private func finishWriting() throws {
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
        watchdog.enter(.readingData, step: step + 1)
        var statistics = StepStatistics(outputs: network.configuration.outputs, camera: camera)
        for reason in stops.current() { statistics.setStopping(reason) }
        var failure = checkpoints.problem
        var batch: Batch?
        if failure == nil {
            do {
                batch = try timer.measureWaiting { try loader.next() }
            } catch {
                failure = "\(error); hint: repair the frame, or leave such frames out with --on-bad-sample skip"
            }
        }
        if failure != nil { statistics.setFailed() }
        watchdog.enter(.forward, step: step + 1)
        if faults.strikes(.stall, step: step + 1) { Faults.sleepForever() }
        // Without a batch too: a network that is divided among the ranks is run by all together.
        exchange.resetCost()
        try timer.measureForward {
            _ = try network.forward(
                input: batch?.input.baseAddress ?? network.outputs, samples: batch?.count ?? 0)
        }
        let forwardCost = exchange.cost
        if let batch {
            statistics.add(
                predictions: network.outputs, labels: batch.labels.baseAddress!, samples: batch.count,
                skipped: batch.bad.count, head: network.configuration.head)
        }
        watchdog.enter(.agreeing, step: step + 1)
        try statistics.sum(over: communicator)
        if statistics.failures > 0 { try communicator.throwAgreed(failure) }
        guard let batch, statistics.samples > 0 else {
            throw TrainingFailure(
                "step \(step + 1): none of the batch's samples can be read; hint: check the data set with --on-bad-sample stop")
        }
        watchdog.enter(.backward, step: step + 1)
        let isDue = isLogged(step + 1)
        var inside: CollapseMonitor.Inside?
        var problem = try finite.problem(loss: statistics, batch: batch)
        if problem == nil {
            timer.measureBackward {
                network.beginBackward(
                    labels: batch.labels.baseAddress!, samples: batch.count, scale: Float(1 / statistics.valueCount))
            }
            if faults.strikes(.nanGradient, step: step + 1) { network.hiddenGradient[0] = .nan }
            problem = try timer.measureCheck { try finite.problem(gradientsOf: batch) }
        }
        if let problem {
            try leaveOut(problem)
        } else {
            try timer.measureBackward {
                if isDue {
                    inside = try CollapseMonitor.look(
                        at: network, samples: batch.count, valueCount: statistics.valueCount, communicator: communicator)
                }
                adam.beginStep()
                try network.finishBackward(input: batch.input.baseAddress!, samples: batch.count, sink: exchange)
                finite.updated(by: adam)
            }
        }
        stopReason = statistics.stopReason
        if statistics.skipped > 0 { try report(bad: batch.bad) }
        step += 1
        if faults.strikes(.flipWeight, step: step) { Faults.flipBit(network.parameters, count: network.table.count) }
        timer.finishStep(samples: statistics.samples, exchange: exchange.cost, forward: forwardCost)
        for warning in monitor.warnings(
            step: step, statistics: statistics, inside: inside, configuration: network.configuration)
        {
            console.warning(warning)
        }
        log(statistics, inside: inside, isDue: isDue)
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
