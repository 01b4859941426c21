package import Collectives
package import Kernels
package import Layers
package import Memory
import Networks
package import Optimizers
package import System

/// The large layer divided by its input rows: each rank holds the weights and moments of some blocks of windows, for the whole
/// global batch; what travels are the active windows of the samples (there and, as gradients, back), partial sums of the
/// layer's outputs, and their gradient. The small parameters are replicated, their gradients summed by allreduce.
///
/// The update is that of the other exchanges: every sum is merely taken in another order, which depends on the number of ranks
/// alone.
///
/// `@unchecked Sendable`: worker threads fill disjoint places; only the main thread sends.
package final class SplitExchange: GradientExchange, WindowLayer, @unchecked Sendable {
    package private(set) var cost = ExchangeCost()
    private let adam: Adam
    private let communicator: any Communicator
    private let team: WorkerTeam
    /// Holds the memory of the buffers.
    private let arena: Arena
    private let outputs: Int
    private let layout: SplitLayout
    private let layer: SparseLayer
    private let traffic: ActivationTraffic
    /// Samples a rank can have.
    private let maximumSamples: Int
    /// Of all ranks' samples, in rank order.
    private let active: ActiveWindows
    /// (samples of all ranks, held rows): x, then its gradient.
    private let x: UnsafeMutablePointer<Float>
    /// Messages as the owner of samples, and as the holder of weights.
    private let ownMessages, heldMessages: UnsafeMutablePointer<Float>
    /// (samples of all ranks, outputs): partial sums, then the gradient; in predictions (ranks, 3, samples of the rank, outputs).
    private let y: UnsafeMutablePointer<Float>
    /// In predictions: (3, own samples, outputs), the slices' sums; of all ranks' samples, their scales.
    private let slices, scales: UnsafeMutablePointer<Float>
    /// In predictions: (outputs).
    private let backgroundSums: UnsafeMutableBufferPointer<Double>
    private let columnSums: UnsafeMutablePointer<Float>
    /// Of each rank: its number of samples, then the bounds of their windows, two to a float's bits.
    private let bounds: UnsafeMutablePointer<Float>
    /// The samples of each rank in this batch.
    private var shares: [Range<Int>]
    private var input: WindowBatch?

    /// - Parameters:
    ///   - adam: of the weights and moments that this rank holds.
    ///   - maximumSamples: samples a rank can have, the same on all ranks.
    ///   - arena: gives room: `bytes(layout:rank:outputs:maximumSamples:threads:)`.
    package init(
        adam: Adam, communicator: any Communicator, team: WorkerTeam, layout: SplitLayout, outputs: Int,
        maximumSamples: Int, arena: Arena
    ) {
        self.adam = adam
        self.communicator = communicator
        self.team = team
        self.arena = arena
        self.outputs = outputs
        self.layout = layout
        self.maximumSamples = maximumSamples
        let held = layout.held(by: communicator.rank)
        let sizes = Sizes(layout: layout, held: held, outputs: outputs, maximumSamples: maximumSamples)
        var carver = Carver(arena)
        layer = SparseLayer(
            held: held, outputs: outputs, maximumSamples: sizes.samples, team: team, threads: team.count, &carver)
        func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
            arena.carve(Float.self, count: count).baseAddress!
        }
        x = floats(sizes.x)
        ownMessages = floats(sizes.own)
        heldMessages = floats(sizes.x)
        y = floats(sizes.y)
        slices = floats(sizes.slices)
        scales = floats(sizes.samples)
        backgroundSums = arena.carve(Double.self, count: outputs)
        columnSums = floats(outputs)
        bounds = floats(sizes.bounds)
        active = ActiveWindows(
            rows: layout.rows, columns: layout.blocks.columns, capacity: sizes.samples,
            bounds: arena.carve(Int32.self, count: sizes.active).baseAddress!)
        traffic = ActivationTraffic(
            layout: layout, held: held, rank: communicator.rank, capacity: sizes.samples, team: team)
        shares = Array(repeating: 0..<0, count: communicator.size)
    }

    /// Bytes of arena that the exchange needs.
    package static func bytes(
        layout: SplitLayout, rank: Int, outputs: Int, maximumSamples: Int, threads: Int
    ) -> Int {
        let held = layout.held(by: rank)
        let sizes = Sizes(layout: layout, held: held, outputs: outputs, maximumSamples: maximumSamples)
        return [sizes.x, sizes.own, sizes.x, sizes.y, sizes.slices, sizes.samples, outputs, sizes.bounds].reduce(0) {
            $0 + Arena.bytes(Float.self, count: $1)
        } + Arena.bytes(Double.self, count: outputs) + Arena.bytes(Int32.self, count: sizes.active)
            + SparseLayer.bytes(rows: held.rowCount, outputs: outputs, maximumSamples: sizes.samples, threads: threads)
    }

    /// Bytes that any rank sends or receives in the exchanges of a pass at the most: the same on all ranks.
    package static func packingRoom(layout: SplitLayout, outputs: Int, maximumSamples: Int) -> Int {
        (0..<layout.ranks).reduce(0) { most, rank in
            let sizes = Sizes(layout: layout, held: layout.held(by: rank), outputs: outputs, maximumSamples: maximumSamples)
            return max(most, sizes.own, sizes.x)
        } * MemoryLayout<Float>.stride
    }

    /// What is carved, in elements.
    private struct Sizes {
        let samples, x, own, y, slices, bounds, active: Int

        init(layout: SplitLayout, held: SparseLayer.Held, outputs: Int, maximumSamples: Int) {
            samples = layout.ranks * maximumSamples
            x = samples * held.rowCount
            own = maximumSamples * layout.rows * layout.blocks.columns * ConvolutionPool.channels
            y = ExactSum.slices * samples * outputs
            slices = ExactSum.slices * maximumSamples * outputs
            bounds = (layout.ranks + 1) * SplitExchange.boundsCount(layout, maximumSamples)
            active = ActiveWindows.boundCount(rows: layout.rows, capacity: samples)
        }
    }

    private static func boundsCount(_ layout: SplitLayout, _ maximumSamples: Int) -> Int { 1 + maximumSamples * layout.rows }

    package func resetCost() { cost = ExchangeCost() }

    /// Runs communication and adds up what it costs; nothing is computed meanwhile.
    private func communicate<Value>(_ body: () throws -> Value) rethrows -> Value {
        let before = cost.seconds
        defer { cost.addWaiting(cost.seconds - before) }
        return try cost.measure(communicator, body)
    }

    // MARK: The large layer

    /// Background never travels.
    package func leavesOutBackground(activeShare: Double) -> Bool { true }

    package func forward(
        _ own: WindowBatch, weights: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>,
        y result: UnsafeMutablePointer<Float>
    ) throws {
        let input = try exchangeWindows(own, weights: weights, prediction: nil)
        let samples = input.samples
        layer.finish(input, bias: nil, rectified: false, y: y)
        let counts = shares.map { $0.count * outputs }
        try communicate {
            try communicator.reduceScatterSum(
                UnsafeBufferPointer(start: y, count: samples * outputs), counts: counts,
                into: UnsafeMutableBufferPointer(start: result, count: own.samples * outputs))
        }
        team.forEach(own.samples) { sample, _ in
            let row = result + sample * outputs
            for index in 0..<outputs {
                let value = row[index] + bias[index]
                row[index] = value <= 0 ? 0 : value
            }
        }
    }

    package func predict(
        _ own: WindowBatch, weights: UnsafePointer<Float>, weightsVersion: Int, bias: UnsafePointer<Float>,
        scales ownScales: UnsafePointer<Float>, y result: UnsafeMutablePointer<Float>
    ) throws {
        let input = try exchangeWindows(own, weights: weights, prediction: (ownScales, weightsVersion))
        let sums = layer.finishPrediction(input)
        for index in 0..<outputs { backgroundSums[index] = sums.background(output: index) }
        for share in shares {
            let target = y + ExactSum.slices * share.lowerBound * outputs
            let step = share.count * outputs
            team.forEach(share.count) { sample, _ in
                for index in 0..<outputs {
                    let place = target + (sample &* outputs &+ index)
                    (place[0], place[step], place[2 &* step]) = ExactSum.cut(
                        sums.active(sample: share.lowerBound &+ sample, output: index))
                }
            }
        }
        let counts = shares.map { ExactSum.slices * $0.count * outputs }
        let count = own.samples * outputs
        try communicate {
            try communicator.sum(backgroundSums)
            try communicator.reduceScatterSum(
                UnsafeBufferPointer(start: y, count: counts.reduce(0, +)), counts: counts,
                into: UnsafeMutableBufferPointer(start: slices, count: ExactSum.slices * count))
        }
        team.forEach(own.samples) { sample, _ in
            for index in 0..<outputs {
                let place = sample &* outputs &+ index
                result[place] = sums.finish(
                    active: ExactSum.join(slices[place], slices[count &+ place], slices[2 &* count &+ place]),
                    background: backgroundSums[index], scale: ownScales[sample], bias: bias[index])
            }
        }
    }

    /// Sends all ranks' windows to who holds their weights, and adds each piece's products while the next travel.
    /// - Parameter prediction: this rank's scales, and which weights they are; nil in a forward pass.
    /// - Returns: all ranks' samples, over the blocks held here.
    private func exchangeWindows(
        _ own: WindowBatch, weights: UnsafePointer<Float>, prediction: (scales: UnsafePointer<Float>, weightsVersion: Int)?
    ) throws -> WindowBatch {
        try shareBounds(own)
        let samples = shares.last!.upperBound
        let input = WindowBatch(
            outputs: outputs, blocks: layout.blocks, active: active, samples: samples, background: own.background, x: x,
            stride: layer.held.rowCount)
        self.input = input
        traffic.prepare(active: active, samples: samples, own: shares[communicator.rank])
        traffic.copy(.pack, windows: own.x, active: own.active, buffer: ownMessages)
        let arrivals = try communicate { try (0..<layout.pieces).map { try start(.toHolders, piece: $0) } }
        if let prediction {
            let counts = shares.map(\.count)
            try communicate {
                try communicator.allgather(
                    UnsafeBufferPointer(start: prediction.scales, count: own.samples), counts: counts,
                    into: UnsafeMutableBufferPointer(start: scales, count: samples))
            }
            layer.beginPrediction(input, weightsVersion: prediction.weightsVersion)
        } else {
            layer.begin(input)
        }
        for piece in 0..<layout.pieces {
            try communicate { try arrivals[piece].finish() }
            let messages = heldMessages + traffic.heldStart(piece: piece)
            traffic.copyHeld(.unpack, piece: piece, rows: x, buffer: messages)
            try polling(arrivals.dropFirst(piece + 1)) { poll in
                if prediction != nil {
                    layer.predict(input, positions(piece), weights: weights, scales: scales, poll: poll)
                } else {
                    layer.accumulate(input, positions(piece), weights: weights, poll: poll)
                }
            }
        }
        return input
    }

    package func backward(
        _ own: WindowBatch, parameter: Parameter, weights: UnsafeMutablePointer<Float>, dy: UnsafePointer<Float>,
        columnSums ownSums: UnsafePointer<Float>, sink: any GradientSink
    ) throws -> SIMD8<Float> {
        guard let input else { preconditionFailure("backward without forward") }
        let counts = shares.map { $0.count * outputs }
        try communicate {
            try communicator.allgather(
                UnsafeBufferPointer(start: dy, count: own.samples * outputs), counts: counts,
                into: UnsafeMutableBufferPointer(start: y, count: input.samples * outputs))
        }
        Dense.biasGradient(dy: y, samples: input.samples, outputs: outputs, gradient: columnSums)
        let gradient = layer.beginBackward(input, dy: y, columnSums: columnSums)
        let background = layer.backgroundGradient(input, gradient)
        let immediate = adam.immediateUpdate(of: parameter)
        var arrivals: [any PendingExchange] = []
        for piece in 0..<layout.pieces {
            try polling(arrivals[...]) { poll in
                layer.backward(input, gradient, positions(piece), immediate: immediate, poll: poll)
            }
            let messages = heldMessages + traffic.heldStart(piece: piece)
            traffic.copyHeld(.pack, piece: piece, rows: x, buffer: messages)
            try communicate { arrivals.append(try start(.toOwners, piece: piece)) }
        }
        try communicate { for arrival in arrivals { try arrival.finish() } }
        traffic.copy(.unpack, windows: own.x, active: own.active, buffer: ownMessages)
        return background
    }

    private func positions(_ piece: Int) -> Range<Int> {
        SplitLayout.positions(piece, of: layout.pieces, count: layer.held.numbers.count)
    }

    /// Tells all ranks which windows of each sample are active.
    private func shareBounds(_ own: WindowBatch) throws {
        let (rows, count) = (layout.rows, Self.boundsCount(layout, maximumSamples))
        let part = bounds + layout.ranks * count
        part[0] = Float(bitPattern: UInt32(own.samples))
        for sample in 0..<own.samples {
            for row in 0..<rows {
                let range = own.active.range(row: row, image: sample)
                part[1 + sample * rows + row] = Float(
                    bitPattern: UInt32(range.lowerBound) << 16 | UInt32(range.upperBound))
            }
        }
        try communicate {
            try communicator.allgather(
                UnsafeBufferPointer(start: part, count: count), counts: Array(repeating: count, count: layout.ranks),
                into: UnsafeMutableBufferPointer(start: bounds, count: layout.ranks * count))
        }
        var first = 0
        for rank in 0..<layout.ranks {
            let part = bounds + rank * count
            let samples = Int(part[0].bitPattern)
            for sample in 0..<samples {
                for row in 0..<rows {
                    let bits = part[1 + sample * rows + row].bitPattern
                    active.set(row: row, image: first + sample, to: Int(bits >> 16)..<Int(bits & 0xFFFF))
                }
            }
            shares[rank] = first..<first + samples
            first += samples
        }
    }

    private enum Direction { case toHolders, toOwners }

    private func start(_ direction: Direction, piece: Int) throws -> any PendingExchange {
        let own = UnsafeMutableBufferPointer(
            start: ownMessages + traffic.ownStart(piece: piece),
            count: traffic.ownCounts(piece: piece).reduce(0, +))
        let held = UnsafeMutableBufferPointer(
            start: heldMessages + traffic.heldStart(piece: piece),
            count: traffic.heldCounts(piece: piece, shares: shares).reduce(0, +))
        let (ownCounts, heldCounts) = (
            traffic.ownCounts(piece: piece), traffic.heldCounts(piece: piece, shares: shares)
        )
        return switch direction {
        case .toHolders:
            try communicator.startPackedAlltoall(
                UnsafeBufferPointer(own), sendCounts: ownCounts, into: held, receiveCounts: heldCounts)
        case .toOwners:
            try communicator.startPackedAlltoall(
                UnsafeBufferPointer(held), sendCounts: heldCounts, into: own, receiveCounts: ownCounts)
        }
    }

    /// Seconds between two looks at what is under way: at 1 Gbit/s 25 kB travel meanwhile, less than a socket's buffer.
    private static let pollingInterval = 200e-6

    /// Runs `body` with a closure that moves along what is under way.
    private func polling(_ exchanges: ArraySlice<any PendingExchange>, _ body: (() -> Void) -> Void) throws {
        var failure: (any Error)?
        // A look costs a system call or more.
        var last = Stopwatch.now
        body {
            let now = Stopwatch.now
            guard failure == nil, now - last > Self.pollingInterval else { return }
            last = now
            do {
                for exchange in exchanges { _ = try exchange.poll() }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    // MARK: The small parameters

    package func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) throws {
        try communicate { try communicator.sum(gradients) }
        adam.apply(0..<gradients.count, gradient: gradients.baseAddress!)
    }

    // The large layer is updated where it is computed.

    package func buckets(of parameter: Parameter) -> [Range<Int>] { [] }

    package func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        preconditionFailure("\(parameter.name) is updated where it is computed")
    }

    package func tileFinished(
        _ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int
    ) {}

    package func bucketFinished(_ parameter: Parameter, rows: Range<Int>) {}
}
