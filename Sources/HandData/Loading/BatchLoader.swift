import Glibc
import System

/// What happens when a sample cannot be read.
package enum BadSamplePolicy: String, CaseIterable, Sendable, Codable {
    /// The run ends with the sample's place and reason.
    case stop
    /// The sample is left out, reported once, and not read again; one that storage did not give is read again in another epoch.
    case skip
}

/// Reads batches ahead of training on threads of its own.
///
/// A step's batch depends on the plan alone: not on the number of threads, on timing, or on what is cached. Buffers are
/// allocated once, for `stepsAhead` batches and the one in the caller's hands.
package final class BatchLoader {
    /// How a loader reads, whatever it reads.
    package struct Configuration: Sendable {
        /// How frames become inputs; by default whole, normalised.
        package var pipeline = SamplePipeline.frame(.normalized)
        package var onBadSample = BadSamplePolicy.stop
        /// Reading threads.
        package var threads = 1
        /// Batches that are ready or in work beyond the one in use.
        package var stepsAhead = 2

        package init() {}

        /// The conditioning of whole frames; setting it makes the pipeline one of whole frames.
        package var conditioning: DepthConditioning {
            get { if case .frame(let conditioning) = pipeline.view { conditioning } else { .normalized } }
            set { pipeline = .frame(newValue) }
        }
    }

    private let state: LoaderState
    private let threads: ThreadGroup

    /// Loads rank `rank`'s shards of the global batches `steps` of `order`.
    ///
    /// - Parameters:
    ///   - source: what `order` permutes.
    ///   - batch: samples of a step over all ranks.
    ///   - steps: from the step to begin with, which may be in the middle of an epoch.
    ///   - cache: decoded frames, shared with other loaders of the same source.
    /// - Throws: `DataError` if no thread can be started.
    package convenience init(
        source: any FrameSource, order: SampleOrder, batch: Int, rank: Int = 0, ranks: Int = 1, steps: Range<UInt64>,
        configuration: Configuration = Configuration(), cache: FrameCache? = nil
    ) throws(DataError) {
        precondition(order.count == source.count, "the order must be of this source's samples")
        let shard = SampleOrder.shard(rank: rank, size: ranks, batch: batch)
        try self.init(
            source: source, plan: .order(order, batch: batch, shard: shard), steps: steps, configuration: configuration,
            cache: cache)
    }

    /// Loads the samples of `range` once, in order, at most `batch` a step: for evaluation. The last step may be smaller.
    /// - Throws: `DataError` if no thread can be started.
    package convenience init(
        source: any FrameSource, range: Range<Int>, batch: Int, configuration: Configuration = Configuration(),
        cache: FrameCache? = nil
    ) throws(DataError) {
        precondition(batch > 0 && range.lowerBound >= 0 && range.upperBound <= source.count, "a range of the source")
        let steps = UInt64((range.count + batch - 1) / batch)
        try self.init(
            source: source, plan: .range(range, batch: batch), steps: 0..<steps, configuration: configuration,
            cache: cache)
    }

    private init(
        source: any FrameSource, plan: BatchPlan, steps: Range<UInt64>, configuration: Configuration, cache: FrameCache?
    ) throws(DataError) {
        let state = LoaderState(source: source, plan: plan, steps: steps, configuration: configuration, cache: cache)
        self.state = state
        threads = try startThreads(count: configuration.threads) { state.work(thread: $0) }
    }

    /// The next step's batch, or nil after the last. Ends the life of the batch before.
    /// - Throws: `BadSample`, with the policy `stop`, at the step that has it; again at every later call.
    package func next() throws(BadSample) -> Batch? { try state.next() }

    /// Goes to `step`; `next` yields its batch. Ends the life of the batch before.
    package func restart(at step: UInt64 = 0) { state.restart(at: step) }

    /// Ends the threads: returns after the frames that are being read now. `next` must not be called again.
    package func stop() {
        state.stop()
        threads.join()
    }

    deinit { stop() }
}

/// What a loader's threads share.
///
/// Sendable because mutable fields change under the lock, and a row of a slot is written by the one thread that
/// claimed it and read after it was counted as finished.
private final class LoaderState: @unchecked Sendable {
    private let source: any FrameSource
    private let cache: FrameCache?
    private let configuration: BatchLoader.Configuration
    private let centres: CentreCache?
    private let seed: UInt64?
    private let endStep: UInt64
    private let slots: [BatchSlot]
    private let condition = ConditionLock()

    private var plan: BatchPlan
    /// The step that `next` is to yield; slots of earlier steps are free.
    private var wanted: UInt64
    /// The next step to be given a slot.
    private var unopened: UInt64
    /// The earliest step whose slot may still be in the caller's hands.
    private var held: UInt64
    private var knownBad: Set<Int> = []
    private var failure: BadSample?
    private var inWork = 0
    private var isPaused = false
    private var isStopped = false

    init(
        source: any FrameSource, plan: BatchPlan, steps: Range<UInt64>, configuration: BatchLoader.Configuration,
        cache: FrameCache?
    ) {
        self.source = source
        self.cache = cache
        self.configuration = configuration
        self.plan = plan
        wanted = steps.lowerBound
        unopened = steps.lowerBound
        held = steps.lowerBound
        endStep = steps.upperBound
        centres = configuration.pipeline.findsCentres ? CentreCache(count: source.count) : nil
        seed = plan.seed
        let capacity = plan.capacity
        let input = configuration.pipeline.inputSize(width: source.width, height: source.height)
        slots = (0...max(configuration.stepsAhead, 1)).map { _ in
            BatchSlot(
                capacity: capacity, inputSize: input.width * input.height, isCropped: configuration.pipeline.crop != nil)
        }
    }

    // MARK: The caller's side

    func next() throws(BadSample) -> Batch? {
        let began = Stopwatch.now
        condition.lock()
        defer { condition.unlock() }
        precondition(!isStopped, "a stopped loader has no next batch")
        if let failure { throw failure }
        held = wanted
        guard wanted < endStep else { return nil }
        condition.broadcast()
        let slot = slot(of: wanted)
        while slot.step != wanted || slot.finished < slot.total { condition.wait() }
        let waited = Stopwatch.now - began

        slot.failures.sort { $0.row < $1.row }
        var unseen: [BadSample] = []
        for (row, sample) in slot.failures {
            // What storage did not give now it may give in another epoch.
            if sample.mayPass || knownBad.insert(slot.samples[row]).inserted { unseen.append(sample) }
        }
        if configuration.onBadSample == .stop, let first = slot.failures.first {
            failure = first.sample
            throw first.sample
        }
        let count = slot.compact()
        wanted += 1
        return Batch(
            step: wanted - 1, count: count,
            input: UnsafeMutableBufferPointer(rebasing: slot.input[..<(count * slot.inputSize)]),
            labels: UnsafeMutableBufferPointer(rebasing: slot.labels[..<(count * HandLabel.valueCount)]),
            samples: UnsafeBufferPointer(rebasing: slot.samples[..<count]),
            positions: UnsafeBufferPointer(rebasing: slot.positions[..<count]),
            geometries: UnsafeBufferPointer(rebasing: slot.geometries[..<min(count, slot.geometries.count)]), bad: unseen,
            waitSeconds: waited)
    }

    func restart(at step: UInt64) {
        condition.withLock {
            isPaused = true
            while inWork > 0 { condition.wait() }
            for slot in slots { slot.step = nil }
            wanted = step
            unopened = step
            held = step
            isPaused = false
            condition.broadcast()
        }
    }

    func stop() {
        condition.withLock {
            isStopped = true
            condition.broadcast()
        }
    }

    // MARK: The threads' side

    /// Reads sample after sample until the loader stops.
    func work(thread: Int) {
        let scratch = SampleScratch(width: source.width, height: source.height)
        condition.lock()
        while !isStopped {
            guard let (slot, row) = claim() else {
                condition.wait()
                continue
            }
            inWork += 1
            condition.unlock()
            var failed: BadSample?
            do {
                try Trace.read(thread) { () throws(BadSample) in try read(row, of: slot, scratch: scratch) }
            } catch {
                failed = error
            }
            condition.lock()
            inWork -= 1
            if let failed { slot.failures.append((row: row, sample: failed)) }
            slot.finished += 1
            if slot.finished == slot.total || isPaused { condition.broadcast() }
        }
        condition.unlock()
    }

    /// Prepares a sample: what `SamplePipeline.prepare` yields, with frame and centre from memory where they are there.
    private func read(_ row: Int, of slot: BatchSlot, scratch: SampleScratch) throws(BadSample) {
        let sample = slot.samples[row]
        let input = slot.inputRow(row)
        let label = slot.labelRow(row)
        let pipeline = configuration.pipeline
        if case .frame(let conditioning) = pipeline.view, let cache,
            cache.load(sample, conditioning: conditioning, into: input)
        {
            // Whole frames go from the cache into the input without a stop.
            return source.readLabel(sample, into: label)
        }
        if pipeline.crop != nil, let cache, cache.load(sample, into: scratch.depth) {
            source.readLabel(sample, into: label)
        } else {
            try source.readSample(sample, depth: scratch.depth, label: label)
            cache?.store(sample, depth: UnsafeBufferPointer(scratch.depth))
        }
        let variation = seed.map {
            pipeline.variation(seed: $0, position: slot.positions[row], count: source.count)
        }
        let geometry = pipeline.finish(
            scratch.frame, centre: try centre(of: sample, label: UnsafeBufferPointer(label), scratch: scratch),
            variation: variation ?? .none, input: input, label: label)
        if let geometry { slot.geometries[row] = geometry }
    }

    private func centre(
        of sample: Int, label: UnsafeBufferPointer<Float>, scratch: SampleScratch
    ) throws(BadSample) -> SIMD3<Double>? {
        if let known = centres?.centre(of: sample) { return known }
        do {
            let centre = try configuration.pipeline.centre(of: scratch.frame, index: sample, label: label, scratch: scratch)
            if let centre { centres?.keep(centre, of: sample) }
            return centre
        } catch {
            throw source.refuse(sample, reason: error.reason)
        }
    }

    /// A row to be read, of the earliest step that has one. The caller holds the lock.
    private func claim() -> (slot: BatchSlot, row: Int)? {
        guard !isPaused else { return nil }
        var step = wanted
        while true {
            if step == unopened {
                guard step < endStep, step < held + UInt64(slots.count) else { return nil }
                open(step)
            }
            let slot = slot(of: step)
            if slot.claimed < slot.total {
                slot.claimed += 1
                return (slot, slot.claimed - 1)
            }
            step += 1
        }
    }

    /// Gives `step` its slot. The caller holds the lock.
    private func open(_ step: UInt64) {
        let slot = slot(of: step)
        slot.failures.removeAll(keepingCapacity: true)
        slot.claimed = 0
        slot.finished = 0
        slot.total = 0
        for position in plan.positions(of: step) {
            let sample = plan.sample(at: position)
            if knownBad.contains(sample) { continue }
            slot.samples[slot.total] = sample
            slot.positions[slot.total] = position
            slot.total += 1
        }
        slot.step = step
        unopened = step + 1
        // A step without samples is finished at once, and someone may be waiting for it.
        if slot.total == 0 { condition.broadcast() }
    }

    private func slot(of step: UInt64) -> BatchSlot { slots[Int(step % UInt64(slots.count))] }
}
