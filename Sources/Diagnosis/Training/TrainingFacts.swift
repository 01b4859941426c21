/// What a step, some steps or a validation says, as far as mistakes can be told by it; what was not looked at is nil.
package struct TrainingFacts: Sendable {
    package var step: Int
    /// Of this step's batch: mean distance between predicted and true joints, mm, and the mean squares of the outputs and of the labels, in
    /// the network's units.
    package var outputs: (jointError: Double, meanSquare: Double, labelMeanSquare: Double)?
    /// Layers with a ReLU, but for the window stem: the share of their units (channels of a map) that are 0 for every sample of the batch.
    package var units: [(layer: String, dead: Double)]?
    /// Layers with a softmax over a map: the share of maps that have one position with nearly all of the weight.
    package var maps: [(layer: String, saturated: Double)]?
    /// Where each rank's time went in the steps `first...last`.
    package var pace: (first: Int, last: Int, ranks: [RankPace])?
    /// After a validation: the held-out error, mm.
    package var heldOut: Double?
    /// Mean joint error of the last ten steps, mm; nil: there were fewer. `TrainingDiagnosis` fills it in.
    package internal(set) var recentError: Double?

    package init(step: Int) { self.step = step }
}

/// Where a rank's time went in some steps, seconds.
package struct RankPace: Sendable, Equatable {
    /// All of it, without validations and checkpoints.
    package var elapsed = 0.0
    /// Waiting for frames.
    package var loading = 0.0
    /// Computing, on any thread.
    package var computing = 0.0
    /// In the exchange of gradients, with nothing left to compute.
    package var exchanging = 0.0
    /// Able to run, but without a processor: another thread or program had it.
    package var withoutProcessor = 0.0
    /// On processors, all threads of the process together.
    package var onProcessors = 0.0

    /// The order in which they travel.
    package static let members: [any WritableKeyPath<RankPace, Double> & Sendable] = [
        \.elapsed, \.loading, \.computing, \.exchanging, \.withoutProcessor, \.onProcessors,
    ]

    package init() {}

    /// What this rank does by itself, whatever the others do.
    var own: Double { loading + computing }
}

/// What a run was asked to do, as far as causes and cures depend on it.
package struct RunFacts: Sendable {
    package var readsRawDepth = false
    package var hasLargeInitialValues = false
    /// Base learning rate, and whether the optimiser's steps are as large as it, whatever the gradient (Adam and the like).
    package var learningRate = 1e-4
    package var isAdaptive = true
    /// The node of each rank.
    package var hosts = [""]
    /// Samples of a step, over all ranks and micro-batches.
    package var batch = 128
    /// Most and fewest samples that a rank has in a step.
    package var shard = (most: 1, fewest: 1)
    package var threads = 1
    /// Processors that a rank has, where each rank of its node has as many.
    package var processors = 1.0
    package var exchange = "none"
    /// What `--exchange auto` would have taken, and its predicted ms a step.
    package var bestExchange: (name: String, milliseconds: Double)?
    /// Frames come from a disk.
    package var readsFiles = false
    /// It was told at the start that threads outnumber processors.
    package var takesTurns = false

    package init() {}

    var ranks: Int { hosts.count }
}
