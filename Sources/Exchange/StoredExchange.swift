package import Collectives
import Kernels
import Layers
package import Memory
import Networks
package import Optimizers
package import System

/// All gradients held at once: summed over the ranks bucket by bucket while the backward pass goes on, then one norm, which is
/// the finite check too, then one update by all threads.
///
/// - `allreduce`: every rank gets every sum, and takes the same step.
/// - `sharded`: of large parameters each rank gets the sums of its own rows, updates those and hands the weights to the others.
/// - `split`: divided parameters' gradients are whole where they are made, and stay there; the others are as in `allreduce`.
///
/// Buckets travel in the order in which the backward pass finishes them, which is the same on all ranks. Between nodes each is on
/// its way as soon as it is finished, and moves along between the items of the layers that follow, however many threads there
/// are: links carry by themselves. Within a node processors do, so a bucket takes the main thread while the others compute.
///
/// `@unchecked Sendable`: worker threads write gradients that are not being sent; only the main thread sends.
package final class StoredExchange: GradientExchange, @unchecked Sendable {
    package private(set) var cost = ExchangeCost()
    private let plan: StoredPlan
    private let gradients: UnsafeMutablePointer<Float>
    private let optimizer: any Optimizer
    private let weights: UnsafeMutablePointer<Float>
    private let communicator: any Communicator
    private let team: WorkerTeam
    private let wire: WireFormat
    private let norm: GradientNorm
    /// Whether the main thread exchanges buckets within the backward pass: on all ranks or on none, as layers communicate there too.
    private let overlaps: Bool
    /// Whether buckets travel by themselves, between nodes.
    private let travels: Bool
    /// On their way.
    private var travelling: [any PendingExchange] = []
    private lazy var lookout = Lookout(team) { [unowned self] in _ = try travelling.last?.poll() }
    /// Holds the memory of what follows.
    private let arena: Arena
    /// Sums of the own part of a bucket.
    private let staging: UnsafeMutablePointer<Float>
    /// Sums of earlier micro-batches, laid out as the gradients.
    private let accumulated: UnsafeMutablePointer<Float>?

    /// Parameters of each bucket whose gradients are still to come.
    private var missing: [Int]
    /// Finished, and not exchanged yet.
    private var queue: [Int] = []
    /// The first of `queue` that was not exchanged.
    private var next = 0
    /// Micro-batches that are still to be added to this one.
    private var isLastMicroBatch = true
    private var isFirstMicroBatch = true

    /// All ranks make theirs together.
    /// - Parameters:
    ///   - gradients: `plan.table.count` floats, where the network writes them.
    ///   - optimizer: holds the state of `plan.held`.
    ///   - arena: gives room: `plan.bytes`.
    /// - Throws: `CollectiveError`.
    package init(
        _ plan: StoredPlan, gradients: UnsafeMutablePointer<Float>, optimizer: any Optimizer,
        weights: UnsafeMutablePointer<Float>, communicator: any Communicator, team: WorkerTeam, wire: WireFormat, arena: Arena
    ) throws {
        // Where every rank has one thread, it would send and compute by turns anyway, and does so at the end.
        travels = communicator.place.nodes > 1
        overlaps = try communicator.maximum(Double(team.count)) > 1 && communicator.size > 1
        self.plan = plan
        self.gradients = gradients
        self.optimizer = optimizer
        self.weights = weights
        self.communicator = communicator
        self.team = team
        self.wire = wire
        self.arena = arena
        norm = GradientNorm(capacity: plan.table.count)
        staging = arena.carve(Float.self, count: plan.stagingCount).baseAddress!
        accumulated = plan.accumulates ? arena.carve(Float.self, count: plan.table.count).baseAddress! : nil
        missing = plan.buckets.map(\.parameters)
        queue.reserveCapacity(plan.buckets.count)
        travelling.reserveCapacity(plan.buckets.count)
    }

    package func resetCost() { cost = ExchangeCost() }

    // MARK: The sink

    /// Begins the backward pass of one of the step's micro-batches.
    package func begin(microBatch: Int, of count: Int) {
        precondition(count == 1 || accumulated != nil)
        isFirstMicroBatch = microBatch == 0
        isLastMicroBatch = microBatch == count - 1
        queue.removeAll(keepingCapacity: true)
        next = 0
        for index in missing.indices { missing[index] = plan.buckets[index].parameters }
    }

    package func buckets(of parameter: Parameter) -> [Range<Int>] { plan.cut.buckets(of: parameter) }

    package func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        gradients + parameter.elements(ofRows: rows).lowerBound
    }

    package func tileFinished(
        _ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int
    ) {}

    package func bucketFinished(_ parameter: Parameter, rows: Range<Int>) throws {
        try finish(plan.bucket(at: parameter.elements(ofRows: rows).lowerBound))
    }

    package func gradientFinished(_ parameter: Parameter) throws {
        for bucket in plan.bucketNumbers(of: parameter) { try finish(bucket) }
    }

    package func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) {}

    package func forEach(_ items: Int, on team: WorkerTeam, _ body: (_ item: Int, _ thread: Int) -> Void) throws {
        guard overlaps, next < queue.count, isLastMicroBatch else {
            return travelling.isEmpty ? team.forEach(items, body) : try forEachBeside(items, on: team, body)
        }
        let (elements, count) = plan.joined(queue, from: next)
        // Small neighbours wait for each other.
        guard elements.count >= plan.cut.count || !plan.isPlain(queue[next]) else { return team.forEach(items, body) }
        let first = queue[next]
        for bucket in queue[next..<next + count] { accumulate(bucket) }
        next += count
        cost.addWaiting(try team.forEach(items, lead: { try exchange(first, elements) }, body))
        collect(first)
    }

    /// Runs items, and moves along what is on its way.
    private func forEachBeside(
        _ items: Int, on team: WorkerTeam, _ body: (_ item: Int, _ thread: Int) -> Void
    ) throws {
        team.forEach(items) { item, thread in
            body(item, thread)
            lookout.itemDone(thread)
        }
        try lookout.check()
    }

    private func finish(_ bucket: Int) throws {
        missing[bucket] -= 1
        guard missing[bucket] == 0 else { return }
        if try !start(bucket) { queue.append(bucket) }
    }

    /// Puts a bucket on its way, if it travels by itself.
    private func start(_ number: Int) throws -> Bool {
        let bucket = plan.buckets[number]
        guard travels, isLastMicroBatch, bucket.counts == nil, !bucket.isDivided else { return false }
        accumulate(number)
        let values = UnsafeMutableBufferPointer(start: gradients + bucket.elements.lowerBound, count: bucket.elements.count)
        travelling.append(try cost.measure(communicator) { try communicator.startSum(values, wire: wire) })
        return true
    }

    /// Waits for what is on its way.
    private func arrive() throws {
        for pending in travelling {
            let before = cost.seconds
            try cost.measure(communicator) { try pending.finish() }
            cost.addWaiting(cost.seconds - before)
        }
        travelling.removeAll(keepingCapacity: true)
    }

    // MARK: After the backward pass

    /// Ends the backward pass: of the last micro-batch, when all gradients are summed over the ranks; of another, when they are
    /// added to those before.
    package func finishBackward() throws {
        // What no layer told of, such as parameters that nothing depends on, is exchanged all the same.
        for bucket in missing.indices where missing[bucket] > 0 {
            if try !start(bucket) { queue.append(bucket) }
        }
        defer {
            queue.removeAll(keepingCapacity: true)
            next = 0
        }
        guard isLastMicroBatch else {
            for bucket in plan.buckets.indices { accumulate(bucket) }
            return
        }
        while next < queue.count {
            // Neighbours travel together: fewer messages.
            let (elements, count) = plan.joined(queue, from: next)
            for bucket in queue[next..<next + count] { accumulate(bucket) }
            let before = cost.seconds
            try exchange(queue[next], elements)
            cost.addWaiting(cost.seconds - before)
            collect(queue[next])
            next += count
        }
        try arrive()
    }

    /// Adds earlier micro-batches to the gradients of the last one, or these to those.
    private func accumulate(_ number: Int) {
        guard let accumulated else { return }
        let range = plan.buckets[number].elements
        let (sum, own) = (accumulated + range.lowerBound, gradients + range.lowerBound)
        if isLastMicroBatch {
            if isFirstMicroBatch { return }
            inBlocks(range.count) { block in for index in block { own[index] += sum[index] } }
        } else if isFirstMicroBatch {
            inBlocks(range.count) { block in (sum + block.lowerBound).update(from: own + block.lowerBound, count: block.count) }
        } else {
            inBlocks(range.count) { block in for index in block { sum[index] += own[index] } }
        }
    }

    /// - Parameter elements: of the bucket, or of more that go with it.
    private func exchange(_ number: Int, _ elements: Range<Int>? = nil) throws {
        let bucket = plan.buckets[number]
        guard communicator.size > 1, !bucket.isDivided else { return }
        let elements = elements ?? bucket.elements
        let values = UnsafeMutableBufferPointer(start: gradients + elements.lowerBound, count: elements.count)
        try cost.measure(communicator) {
            guard let counts = bucket.counts else { return try communicator.sum(values, wire: wire) }
            try communicator.reduceScatterSum(
                UnsafeBufferPointer(values), counts: counts,
                into: UnsafeMutableBufferPointer(start: staging, count: counts[communicator.rank]), wire: wire)
        }
    }

    /// Puts the own part's sums in their place.
    private func collect(_ number: Int) {
        let bucket = plan.buckets[number]
        guard communicator.size > 1, let counts = bucket.counts else { return }
        (gradients + plan.ownElements(bucket).lowerBound).update(from: staging, count: counts[communicator.rank])
    }

    /// The norm of the whole gradient, the same bits on all ranks; not finite where any gradient is not.
    package func gradientNorm() throws -> Double {
        var own = 0.0
        var shared = 0.0
        for range in plan.updated {
            let squares = norm.sumOfSquares(gradients + range.elements.lowerBound, count: range.elements.count, team: team)
            if range.isOwn { own += squares } else { shared += squares }
        }
        // What every rank holds has the same sum on all; what one rank holds is counted once.
        if communicator.size > 1 && plan.hasOwnParts { own = try communicator.sum(own) }
        return (own + shared).squareRoot()
    }

    /// Limits each gradient.
    package func clip(value limit: Double) {
        for range in plan.updated {
            ValueClip.apply(
                gradients + range.elements.lowerBound, count: range.elements.count, limit: Float(limit), team: team)
        }
    }

    /// Updates all weights, in the step that the optimiser has begun.
    /// - Parameter scale: multiplies the gradients.
    package func update(scale: Float) throws {
        for range in plan.updated {
            optimizer.apply(
                range.elements, gradient: gradients + range.elements.lowerBound, scale: scale, team: team)
        }
        guard communicator.size > 1 else { return }
        for bucket in plan.buckets {
            guard let counts = bucket.counts else { continue }
            let own = plan.ownElements(bucket)
            let before = cost.seconds
            try cost.measure(communicator) {
                try communicator.allgather(
                    UnsafeBufferPointer(start: weights + own.lowerBound, count: own.count), counts: counts,
                    into: UnsafeMutableBufferPointer(start: weights + bucket.elements.lowerBound, count: bucket.elements.count))
            }
            cost.addWaiting(cost.seconds - before)
        }
    }

    private func inBlocks(_ count: Int, _ body: (Range<Int>) -> Void) {
        let block = 1 << 16
        team.forEach((count + block - 1) / block) { item, _ in body(item * block..<min(count, (item + 1) * block)) }
    }
}
