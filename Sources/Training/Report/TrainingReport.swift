import Checkpoints
import Collectives
import HandData
import Networks
import Optimizers
import Telemetry

extension Trainer {
    /// Whether this step's line goes to metrics.jsonl.
    func isLogged(_ step: Int) -> Bool {
        step == 1 || step % configuration.logEvery == 0 || step == totalSteps
    }

    /// Tells of skipped samples, each once in the run: in another epoch another rank may meet the same.
    /// - Parameter bad: those this rank met; all ranks call, in step.
    func report(bad: [BadSample]) throws {
        let own = bad.map(\.description).joined(separator: "\n")
        for (rank, texts) in try communicator.allgather(Array(own.utf8)).enumerated() {
            for text in String(decoding: texts, as: UTF8.self).split(separator: "\n")
            where skippedNames.insert(Array(text.utf8).withUnsafeBytes { StreamingChecksum.of($0).value }).inserted {
                console.warning("rank \(rank): skipped \(text)")
                state.skippedSamples = (state.skippedSamples ?? 0) + 1
            }
        }
    }

    /// Losses in pixels and mm are hundreds, those of crops fractions.
    private var lossDigits: String { model.pipeline.crop == nil ? "%.1f" : "%.3g" }

    /// Says what became of checkpoints that were being written.
    func tellNews() {
        for line in checkpoints.takeNews() { console.line(line) }
    }

    func log(_ statistics: StepStatistics, inside: CollapseMonitor.Inside?, isDue: Bool) {
        guard communicator.rank == 0 else { return }
        let perStep = timer.elapsed / Double(timer.steps)
        let rate = timer.samples / timer.elapsed
        let left = perStep * Double(totalSteps - step)
        live.losses.append(statistics.loss)
        let parts = [
            "step \(step)/\(totalSteps)", "loss \(format(lossDigits, statistics.loss))",
            "joint error \(format("%.1f", statistics.jointErrorMillimetres)) mm", "\(format("%.0f", rate)) samples/s",
            "\(format("%.0f", perStep * 1000)) ms/step", "\(duration(left)) left",
        ]
        console.progress(parts, isDue: isDue) { live.figures(parts, progress: Double(step) / Double(totalSteps), timer) }
        guard isDue else { return }
        let milliseconds = 1000 / Double(timer.steps)
        var fields: [(String, MetricValue)] = [
            ("step", .integer(step)),
            ("epoch", .number(Double(step) / stepsPerEpoch)),
            ("loss", .number(statistics.loss)), ("joint_error_mm", .number(statistics.jointErrorMillimetres)),
            ("samples_per_second", .number(rate)), ("step_ms", .number(perStep * 1000)),
            ("wait_ms", .number(timer.waiting * milliseconds)),
            ("forward_ms", .number((timer.forward - timer.forwardWaiting) * milliseconds)),
            ("backward_ms", .number((timer.backward - timer.exchangeWaiting + timer.forwardWaiting) * milliseconds)),
            ("exchange_ms", .number(timer.exchange * milliseconds)),
            ("exchange_wait_ms", .number(timer.exchangeWaiting * milliseconds)),
            ("exchange_bytes", .number(Double(timer.bytes) / Double(timer.steps))),
            ("checks_ms", .number(timer.checks * milliseconds)),
            ("zero_output_share", .number(statistics.zeroOutputShare)),
            ("output_gradient_norm", .number(statistics.outputGradientNorm)),
            ("mean_squared_label", .number(statistics.meanSquaredLabel)),
        ]
        if let inside {
            fields += [
                ("hidden_gradient_norm", .number(inside.hiddenGradientNorm)),
                ("dead_unit_share", .number(inside.deadUnitShare)), ("dead_pooled_share", .number(inside.deadPooledShare)),
            ]
        }
        if let skipped = state.skippedSamples { fields.append(("skipped_samples", .integer(skipped))) }
        if let skipped = state.skippedSteps { fields.append(("skipped_steps", .integer(skipped))) }
        write(fields)
        addPace(restarts: true)
        timer.restart()
    }

    func validate() throws {
        watchdog.enter(.validation, step: step)
        let result = try withAveragedWeights { try errors(evaluator, "held-out") }
        if let before = validatedFrames, before != result.frames {
            console.warning(
                "step \(step): \(result.frames) held-out frames could be read, \(before) the time before: their errors are not "
                    + "comparable")
        }
        validatedFrames = result.frames
        if state.validationStep != step {
            let isBetter = state.bestError.map { result.jointErrorMillimetres < $0 } ?? true
            if isBetter { state.bestError = result.jointErrorMillimetres }
            state.validationsSinceBest = isBetter ? 0 : (state.validationsSinceBest ?? 0) + 1
        }
        state.validation = result
        state.validationStep = step
        live.errors.append(result.jointErrorMillimetres)
        console.line(
            "step \(step): held-out joint error \(format("%.2f", result.jointErrorMillimetres)) mm over \(result.frames) "
                + "frames\(heldOutWords), loss \(format(lossDigits, result.loss)), all joints within 40 mm in "
                + "\(format("%.1f", result.success40 * 100))% of them")
        diagnose(heldOut: result.jointErrorMillimetres)
        write([
            ("step", .integer(step)),
            ("validation", .object(fields(of: result, split: data.heldOutName, centre: data.centres.heldOut))),
        ])
        showPredictions()
    }

    /// Whether so many validations as `--patience` says gave no better error; the same on all ranks.
    var isOutOfPatience: Bool {
        configuration.patience > 0 && (state.validationsSinceBest ?? 0) >= configuration.patience
    }

    /// Loss and errors over an evaluator's frames, of the weights as they are; tells of frames that cannot be read.
    /// - Throws: `TrainingFailure` on all ranks where a frame cannot be read and the policy is to stop, or none can.
    private func errors(_ evaluator: Evaluator, _ name: String) throws -> ValidationResult {
        let result: ValidationResult
        do {
            result = try evaluator.validate(network)
        } catch let failure as TrainingFailure {
            throw failure.savingSteps()
        }
        if try communicator.maximum(Double(evaluator.newlyBad.count)) > 0 { try report(bad: evaluator.newlyBad) }
        guard result.frames > 0 else {
            throw TrainingFailure(
                "step \(step): no \(name) frame can be read, so there is no score; hint: look at the frames and their storage: "
                    + "--check-data lists what is wrong with each"
            ).savingSteps()
        }
        return result
    }

    /// A result's members in metrics.jsonl, which say what it is over.
    private func fields(of result: ValidationResult, split: String, centre: CentreFinder) -> [(String, MetricValue)] {
        [
            ("split", .text(split)), ("centre", .text(centreText(centre))),
            ("frames", .integer(result.frames)), ("loss", .number(result.loss)),
            ("joint_error_mm", .number(result.jointErrorMillimetres)), ("success_20mm", .number(result.success20)),
            ("success_40mm", .number(result.success40)), ("success_80mm", .number(result.success80)),
        ]
    }

    private func centreText(_ centre: CentreFinder) -> String { model.pipeline.crop == nil ? "none" : centre.name }

    /// ` (validation split, centre com)`.
    private var heldOutWords: String { words(split: data.heldOutName, centre: data.centres.heldOut) }

    private func words(split: String, centre: CentreFinder) -> String {
        " (\(split) split" + (model.pipeline.crop == nil ? "" : ", centre \(centre.name)") + ")"
    }

    /// The test frames, once, when all is done: with the weights of the best checkpoint, averaged where the run averages.
    func evaluateTest() throws {
        guard let frames = data.test, let centre = data.centres.test else { return }
        watchdog.enter(.validation, step: step)
        let test = Evaluator(evaluator, source: frames, pipeline: model.pipeline(centre: centre, isVaried: false))
        let best = try checkpoints.bestStep() ?? step
        let result: ValidationResult
        if best == step {
            result = try withAveragedWeights { try errors(test, "test") }
        } else {
            try checkpoints.loadBest()
            network.weightsChanged()
            result = try errors(test, "test")
        }
        let baseline = test.constant(try meanLabel())
        console.line(
            format("test joint error: %.2f mm", result.jointErrorMillimetres) + " over \(result.frames) frames"
                + words(split: "test", centre: centre) + ", \(average == nil ? "" : "averaged ")weights of step \(best)"
                + format(", the best; always predicting the mean label: %.2f mm", baseline.jointErrorMillimetres)
                + format(" (%.0f%% of it)", result.jointErrorMillimetres / baseline.jointErrorMillimetres * 100))
        write([
            ("step", .integer(step)),
            (
                "test",
                .object(
                    fields(of: result, split: "test", centre: centre) + [
                        ("weights_of_step", .integer(best)), ("weights", .text(average == nil ? "trained" : "averaged")),
                        ("mean_label_joint_error_mm", .number(baseline.jointErrorMillimetres)),
                    ])
            ),
        ])
        try finishWriting()
    }

    /// Runs `body` with the averaged weights in the network, where there are any.
    private func withAveragedWeights<Value>(_ body: () throws -> Value) rethrows -> Value {
        guard let average else { return try body() }
        average.swap(team: team)
        network.weightsChanged()
        defer {
            average.swap(team: team)
            network.weightsChanged()
        }
        return try body()
    }

    /// Appends a line to metrics.jsonl. A disk that is full does not end the run: lines wait in memory for it.
    func write(_ fields: [(String, MetricValue)]) {
        do {
            try directory.metrics?.write(fields)
            metricsAreLate = false
        } catch {
            if !metricsAreLate { console.warning("\(error); the lines are kept until they can be written") }
            metricsAreLate = true
        }
        if tensorBoard != nil { toTensorBoard(fields) }
    }

    /// What a checkpoint or a snapshot of this step is to hold; complete on rank 0.
    private var stateToSave: TrainingState {
        var saved = state
        saved.optimizerSteps = optimizer.step == step ? nil : optimizer.step
        saved.averagedUpdates = average?.updates
        saved.skippedSampleNames = skippedNames.isEmpty ? nil : skippedNames.sorted()
        return saved
    }

    /// Keeps the state after this step in the nodes' memory, where that is due.
    func keepSnapshot() throws {
        guard let cost = try checkpoints.keepSnapshot(step: step, state: stateToSave) else { return }
        write([
            ("step", .integer(step)),
            ("snapshot", .object([("pause_ms", .number(cost.seconds * 1000)), ("next_after_steps", .integer(cost.interval))])),
        ])
    }

    /// Saves the state after this step, unless it is saved already.
    func save(isLast: Bool) throws {
        guard lastSaved != step else { return }
        watchdog.enter(.checkpoint, step: step)
        let pause = try checkpoints.save(
            step: step, state: stateToSave, isLast: isLast,
            stepsLeft: min(configuration.checkpointEvery - step % configuration.checkpointEvery, totalSteps - step))
        lastSaved = step
        guard let pause else { return }
        write([
            ("step", .integer(step)),
            (
                "checkpoint",
                .object([
                    ("pause_ms", .number(pause.seconds * 1000)), ("wait_ms", .number(pause.waited * 1000)),
                    ("writing", .text(pause.isInBackground ? "beside training" : "while training waits")),
                ])
            ),
        ])
    }

    /// What came of it, against what a network must beat.
    func conclude() throws {
        // Of the frames that a resumed validation left out this process knows nothing: without them there is no baseline.
        let counted = try communicator.maximum(Double(state.validation?.frames ?? -1))
        if state.validationStep != step || Int(counted) != evaluator.frames && validatedFrames == nil { try validate() }
        let baseline = evaluator.constant(try meanLabel())
        // A resumed validation is known to rank 0 alone, which is the one that speaks.
        if let result = state.validation {
            let share = result.jointErrorMillimetres / baseline.jointErrorMillimetres
            console.line(
                format("held-out joint error: %.2f mm", result.jointErrorMillimetres)
                    + format("; always predicting the mean label: %.2f mm", baseline.jointErrorMillimetres)
                    + format(" (%.0f%% of it)", share * 100) + heldOutWords)
        }
        let skipped = state.skippedSamples ?? 0
        if skipped + data.skipped > 0 {
            console.line("samples left out because they could not be read: \(data.skipped) before, \(skipped) in training")
        }
        if let skipped = state.skippedSteps { console.line("steps without an update: \(skipped)") }
        write([
            ("step", .integer(step)),
            (
                "mean_label_baseline",
                .object([
                    ("split", .text(data.heldOutName)), ("centre", .text(centreText(data.centres.heldOut))),
                    ("loss", .number(baseline.loss)), ("joint_error_mm", .number(baseline.jointErrorMillimetres)),
                ])
            ),
        ])
    }

    private func duration(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e9))
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(whole % 3600 / 60) min"
    }
}
