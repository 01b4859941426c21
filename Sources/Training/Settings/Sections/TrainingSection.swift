import Optimizers

/// Optimisers that decay weights without being told: `adamw has 0.01`.
private let ownDecays = OptimizerKind.allCases.filter { $0.type.standardWeightDecay > 0 }
    .map { "\($0.rawValue) has \($0.type.standardWeightDecay)" }.joined(separator: ", ")

/// How the weights are found. What the optimiser reads is in `ModelSettings`.
package struct TrainingSection: SettingSection {
    package static let title = "TRAINING"

    package var steps = 1000
    /// Passes over the training samples; when set, it decides `steps`.
    package var epochs: Double?
    /// Global: samples a step over all ranks.
    package var batchSize = 100
    package var learningRate = 1e-4
    package var seed: UInt64 = 1
    package var onNonfinite: NonfinitePolicy = .stop

    package init() {}

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
