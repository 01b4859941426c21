import Optimizers

/// More steps than any run takes; products with it stay exact.
private let mostSteps = 1_000_000_000_000

// The upper ends of ranges are far beyond any use; below them no count of bytes overflows before it meets the memory check.

/// Optimisers that decay weights without being told: `adamw has 0.01`.
private let ownDecays = OptimizerKind.allCases.filter { $0.type.standardWeightDecay > 0 }
    .map { "\($0.rawValue) has \($0.type.standardWeightDecay)" }.joined(separator: ", ")

package enum DataSection: SettingSection {
    package static let title = "DATA"
    package static let settings: [Setting] = [
        .optionalText(
            "data", \.data, "directory",
            help: "Root of an ICVL data set (Training/, Testing/). Without it: synthetic hands, in memory."
        ).resuming(.contents).ranks(.ownIfGiven),
        .choice("rotations", \.rotations, help: "ICVL's rotated copies of the training frames."),
        .choice(
            "on-bad-sample", \.onBadSample,
            help: "A sample that cannot be read: stop the run, or skip it on all ranks and count it."
        ).resuming(.allowed),
        .integer("synthetic-frames", \.syntheticFrames, 1...10_000_000, help: "Synthetic training frames."),
        .integer(
            "synthetic-test-frames", \.syntheticTestFrames, 1...10_000_000,
            help: "Synthetic test frames; as many other hands are held out for validation."),
        .choice(
            "validation", \.validation,
            help: """
                What the best weights are chosen by: whole training sequences that are held out (of synthetic hands: others than the \
                test's); the last tenth of the training frames; or the test frames, whose error is no test result then.
                """
        ).resuming(.noted),
        .choice(
            "hands", \.hands,
            help: """
                Synthetic hands as dtrain's first were; with forearm, flesh and labels' depth fitted to ICVL's centres of mass; or these with \
                more poses, views and proportions.
                """),
        .number(
            "hand-variation", \.handVariation, hint: "a factor from 0 to 4, such as 2", where: { $0 >= 0 && $0 <= 4 },
            help: "Factor of how much synthetic hands differ in size, digit lengths and girth; 1: by 3.5%, 2% and 6%."),
        .choice(
            "hand-directions", \.handDirections,
            help: "Synthetic hands point upwards as in ICVL's test frames, or any way in the picture."),
        .choice(
            "hand-views", \.handViews,
            help: "Synthetic hands show the palm as in ICVL's frames, or every side: backs and edges too. Both look alike in some frames."),
        .optionalNumber(
            "hand-surface-offset", \.handSurfaceOffset, hint: "mm from 0 to 30, such as 10",
            where: { $0 >= 0 && $0 <= 30 },
            help: """
                How much nearer than the bones' middle the joints' d of synthetic hands is, mm: by default as in ICVL's labels, 10 (--hands first: \
                0); 0 for labels of fitted hand models.
                """),
        .value(
            "camera", \.camera, "fx,fy,cx,cy", form: "icvl, fx,fy,cx,cy",
            help: "The frames' camera, in their pixels: ICVL's, scaled to the frames' size, or focal lengths and principal point."
        ).resuming(.fixed),
        .text("image-size", \.imageSize, "WIDTHxHEIGHT", help: "Size of synthetic frames; must divide by --pool.")
            .checked {
                $0.imageExtent == nil ? "--image-size is '\($0.imageSize)'; hint: WIDTHxHEIGHT, for example 320x240" : nil
            },
        .choice("input", \.input, help: "Depth as input: nearness from 0 to 2 with background 0, or the millimetres themselves.")
            .resuming(.fixed),
        .integer("cache", \.cache, 0...1_000_000_000, "MiB", help: "Memory for decoded frames, of each rank; 0: none.")
            .ranks(.own),
    ]
}

package enum NetworkSection: SettingSection {
    package static let title = "NETWORK"
    package static let settings: [Setting] = [
        .choice(
            "preset", \.preset,
            help: """
                Defaults of all settings: the question's network, cured; its program as it was, which collapses; 4x4 pooling; and \
                networks of crops: DeepPrior, REN, dense joint maps (JGR-P2O), dtrain's own.
                """
        ).defaultText("seed"),
        .optionalText(
            "network", \.model.networkFile, "file", help: "A YAML file with a network of your own (Docs/networks.md), instead of the preset's."
        ).comparing { $0.model.networkContents },
        .value(
            "loss", \.model.loss, "loss", form: "preset, mse, smooth-l1:SIGMA, huber:DELTA",
            help: "How outputs are compared with labels: as the network has it, mean squared error, smooth L1, or Huber's."
        ).resuming(.allowed),
        .choice(
            "output", \.output,
            help: "What the last layer's values become. ReLU can die (Docs/why-zero.md); exp needs --learning-rate 1e-5."
        ).resuming(.fixed),
        .integer("pool", \.pool, of: [2, 4], help: "Max pooling window: 153,600 or 38,400 inputs of FC1.").resuming(.fixed),
        .integer("hidden", \.hidden, 1...1_000_000, help: "Units of FC1.").resuming(.fixed),
        .choice(
            "initial-values", \.initialValues, help: "He's, with biases 0; or of standard deviation 0.1, with biases 0.1."),
        .choice(
            "output-bias", \.outputBias, help: "The last bias begins at the mean of the training labels, or as the other biases."),
    ]
}

package enum CropSection: SettingSection {
    package static let title = "CROPS"
    package static let settings: [Setting] = [
        .number(
            "cube", \.model.crop.cube, hint: "an edge in mm from 50 to 1000, such as 250", where: { $0 >= 50 && $0 <= 1000 },
            help: "Edge of the cube around the hand that a network of crops sees, mm."
        ).resuming(.fixed),
        .integer(
            "crop-size", \.model.crop.size, 0...1024, "pixels", help: "Rows and columns of the crop; 0: as the network was designed."
        ).resuming(.fixed),
        .choice(
            "resample", \.model.crop.resampling,
            help: "How the crop's pixels are made of the frame's: the nearest, or the surface around; neither mixes hand and background."
        ).resuming(.fixed),
        .value(
            "centre", \.model.crop.centre, "centre", form: "com, labels, FILE, TRAINING-FILE,TEST-FILE", isPath: true,
            help: """
                Where the cube is: at the hand's centre of mass; at the mean of the true joints, which no unknown frame tells; or at \
                the centres of files with a line 'u v d' a frame.
                """
        ).resuming(.allowed),
        .value(
            "augment", \.model.crop.augmentation, "amounts",
            form: "none, icvl, strong, or amounts such as jitter=10,rotation=180,scale=0.1",
            help: "How crops of training frames are varied: centre, rotation in the picture, scale, noise, dropped pixels, holes."
        ).resuming(.allowed),
    ]
}

package enum TrainingSection: SettingSection {
    package static let title = "TRAINING"
    package static let settings: [Setting] = [
        .integer(
            "steps", \.steps, 1...mostSteps, help: "The step to train to; a resumed run counts the steps it has."
        ).instead(of: "epochs"),
        .optionalNumber(
            "epochs", \.epochs, hint: "a positive number such as 10 or 0.5, at most 1e9", where: { $0 > 0 && $0 <= 1e9 },
            help: "Passes over the training samples, instead of --steps."),
        .integer(
            "batch-size", \.batchSize, 1...100_000_000,
            help: "Samples a step, over all ranks together: at least as many as ranks."
        ).resuming(.allowed),
        .number(
            "learning-rate", \.learningRate, hint: "a small positive number such as 1e-4", where: { $0 > 0 && $0.isFinite },
            help: "The learning rate that the schedule's factors multiply."
        ).resuming(.allowed),
        .choice("optimizer", \.model.optimizer.kind, help: "The rule that updates the weights.").resuming(.fixed),
        .number(
            "momentum", \.model.optimizer.momentum, hint: "a number from 0 to below 1 such as 0.9", where: { $0 >= 0 && $0 < 1 },
            help: "Of sgd: share of the old direction; 0: none is kept."
        ).resuming(.fixed),
        .flag("nesterov", \.model.optimizer.nesterov, help: "Of sgd: Nesterov's momentum.").resuming(.fixed),
        .optionalNumber(
            "weight-decay", \.model.weightDecay, hint: "0, or a small positive number such as 5e-4",
            where: { $0 >= 0 && $0.isFinite }, help: "Of weights, not of biases and normalisations; \(ownDecays) by itself, the others none."
        ).resuming(.allowed),
        .number(
            "bias-rate-multiplier", \.model.optimizer.biasRateMultiplier, hint: "1, or 2 for biases that learn twice as fast",
            where: { $0 >= 0 && $0.isFinite }, help: "Multiplies the learning rate of biases."
        ).resuming(.allowed),
        .number(
            "normalization-rate-multiplier", \.model.optimizer.normalizationRateMultiplier,
            hint: "1, or 0 to keep normalisations as they begin", where: { $0 >= 0 && $0.isFinite },
            help: "Multiplies the learning rate of batch normalisations' scales and shifts."
        ).resuming(.allowed),
        .value(
            "schedule", \.model.schedule, "schedule",
            form: "constant, cosine, steps:every=40000,factor=0.1, exponential:factor=0.96, inverse:k=0.2; with warmup=500 or 1epochs",
            help: "How the learning rate goes over the run."
        ).resuming(.allowed),
        .value(
            "clip", \.model.clipping, "limit", form: "none, norm:LIMIT, value:LIMIT",
            help: "Scale all gradients down to a norm, or limit each of them."
        ).resuming(.allowed),
        .integer(
            "accumulate", \.model.accumulate, 1...10_000, "n",
            help: "Batches whose gradients are added up before an update: the same as a batch so many times as large."
        ).resuming(.allowed),
        .optionalNumber(
            "ema", \.model.averagingDecay, hint: "a number between 0 and 1 such as 0.999", where: { $0 > 0 && $0 < 1 },
            help: "Validate, and choose the best, with an average of the weights; the old average's share in it."
        ).resuming(.fixed),
        .flag(
            "ema-warmup", \.model.averagingWarmsUp,
            help: "A share of at most (1 + t) / (10 + t) at update t, so that the initial weights soon fade from the average."
        ).resuming(.fixed),
        .choice(
            "update", \.model.update,
            help: """
                When weights change: tile by tile in the backward pass, at once when all gradients are there, or the one that fits.
                """),
        .integer(
            "seed", \.seed, 0...UInt64.max,
            help: "Of initial values, sample order and synthetic hands: the same for every number of ranks."
        ).resuming(.allowed),
        .choice(
            "on-nonfinite", \.onNonfinite,
            help: "A loss or gradient that is not finite: stop the run, or skip the step's update on all ranks."),
    ]
}

package enum RanksSection: SettingSection {
    package static let title = "RANKS"
    package static let settings: [Setting] = [
        .integer(
            "threads", \.threads, 0...1024, help: "Threads a rank; 0: the processors allowed on the node / the ranks on it."
        ).ranks(.own),
        .choice(
            "exchange", \.exchange,
            help: """
                How ranks agree on the update: gradients averaged; the same with the large layer's moments divided by the ranks; \
                the large layer itself divided, so that activations travel instead; or what a cost model finds the fastest here.
                """),
        .choice("wire", \.wire, help: "How gradients travel: bf16 is half the bytes, rounded to 8 bits; sums are in fp32."),
    ]
}

package enum RunDirectorySection: SettingSection {
    package static let title = "RUN DIRECTORY"
    package static let settings: [Setting] = [
        .optionalText("run-dir", \.runDir, "directory", help: "Where the run writes.").defaultText("runs/TIME-PRESET"),
        .text(
            "resume", \.resume, "never|auto|checkpoint",
            help: "auto: go on from the newest good checkpoint in --run-dir, if there is one; or a checkpoint's path."),
        .value(
            "allow-change", \.allowChange, "names", form: "names with commas between, none",
            help: "What a resumed run may have otherwise: \(Settings.changeable.joined(separator: ", ")), with commas; or none."),
        .integer(
            "checkpoint-every", \.checkpointEvery, 1...mostSteps, "steps",
            help: "Steps between checkpoints; one is always written at the end."),
        .value(
            "snapshot-every", \.snapshotEvery, "auto|steps", form: "auto, or a number of steps; 0: none",
            help: """
                Steps between snapshots in each node's memory, from which --resume auto goes on when a node was lost; auto: on several \
                nodes, so often that they cost under 1% of the time; 0: none.
                """),
        .integer(
            "keep-checkpoints", \.keepCheckpoints, 1...1_000_000, help: "Newest checkpoints that are kept, besides the best."),
        .flag(
            "save-initial", \.saveInitial,
            help: "Also write the checkpoint of step 0, so that another program can start from the same weights."),
        .integer(
            "log-every", \.logEvery, 1...mostSteps, "steps",
            help: "Steps between lines of metrics.jsonl; the first and the last are always logged."),
        .integer(
            "validate-every", \.validateEvery, 1...mostSteps, "steps",
            help: "Steps between validations on held-out frames; one is always made at the end."),
        .flag("report", \.report, help: "Write RUN/report.html, a page that shows the run, when the run ends (dtrain report)."),
        .flag(
            "tensorboard", \.tensorboard,
            help: "Write RUN/tensorboard: metrics, settings, layers and pictures of predictions as event files of TensorBoard."),
        .value(
            "trace", \.trace, "steps", form: "steps such as 10-14, a count from 1 to 1000, none",
            help: "Write RUN/trace.json: what every thread of every rank does in these steps, for ui.perfetto.dev (FIRST-LAST, or a count)."),
        .integer(
            "validate-frames", \.validateFrames, 0...mostSteps,
            help: "Held-out frames a validation uses, from the first; 0: all."),
        .integer(
            "patience", \.patience, 0...1_000_000, "validations",
            help: "Stop when so many validations in a row gave no better held-out error; 0: never."),
    ]
}

package enum SafetySection: SettingSection {
    package static let title = "SAFETY"
    package static let settings: [Setting] = [
        .value(
            "time-limit", \.timeLimit, "time", form: "seconds, 10m, 2h, 1h30m, HH:MM:SS, none",
            help: "Save and stop after so long, with exit code 75 if steps are left: SECONDS, 10m, 2h, 1h30m, HH:MM:SS, or none."),
        .integer(
            "stall-timeout", \.stallTimeout, 0...1_000_000, "seconds",
            help: "Seconds without progress on any rank that end the run with exit code 70, naming each rank's phase; 0: never."),
        .integer(
            "verify-every", \.verifyEvery, 0...mostSteps, "steps",
            help: "Steps between comparisons of the ranks' weights, also made before a checkpoint; 0: none."),
    ]
}
