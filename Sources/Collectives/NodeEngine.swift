import Glibc

/// Sums and joins floats over all ranks: within a node through shared memory, between nodes by messages.
///
/// Each chunk is staged in shared memory by every rank, then reduced lane by lane, each by one rank of the node and always
/// in rank order; the lane's ranks on the other nodes add theirs, in node order; then everyone copies the result. A chunk is
/// staged before the one ahead of it is reduced, and reduced before the one ahead of it has been summed over the nodes, so
/// ranks seldom wait. Jobs are done in the order they were begun, each rank
/// taking its own steps when it polls or waits.
final class NodeEngine {
    private let window: NodeWindow
    /// To the ranks of the same lane on the other nodes, one for even chunks and one for odd ones; none where there are none.
    private let links: [NodeLink]
    /// Chunks that are reduced on the node before one that is under way between the nodes is taken: while a chunk's sum
    /// travels, the next one's terms do.
    private let lag: Int
    private let nodes: Int
    private let node: Int
    /// This rank's number on its node, and its lane.
    private let rank: Int
    /// Lanes in fp32, where the stages hold bf16: for even chunks and for odd ones.
    private let lanes: [UnsafeMutablePointer<Float>]
    private let inputs: UnsafeMutableBufferPointer<UnsafeRawPointer>

    private var jobs: [NodeJob] = []
    private var chunksBegun: UInt32 = 0
    private var jobsBegun: UInt32 = 0

    /// - Parameters:
    ///   - links: two, to the ranks of the same lane on the other nodes; none where this rank has none.
    ///   - nodes: how many nodes there are.
    init(window: NodeWindow, links: [NodeLink], node: Int, nodes: Int, laneCapacity: Int) {
        self.window = window
        self.links = links
        lag = nodes > 1 ? 1 : 0
        self.node = node
        self.nodes = nodes
        rank = window.rank
        lanes = (0..<2).map { _ in .allocate(capacity: laneCapacity) }
        inputs = .allocate(capacity: window.size)
        inputs.initialize(repeating: UnsafeRawPointer(lanes[0]))
    }

    deinit {
        for lane in lanes { lane.deallocate() }
        inputs.deallocate()
    }

    /// Whether nothing is under way.
    var isIdle: Bool { jobs.isEmpty }

    /// Begins a job behind those under way.
    func begin(_ job: NodeJob) throws(CollectiveError) {
        job.firstChunk = chunksBegun
        job.number = jobsBegun
        chunksBegun &+= UInt32(job.chunks)
        jobsBegun &+= 1
        if job.chunks == 0 { job.phase = .done } else { jobs.append(job) }
        try poll()
    }

    /// Takes all steps that need no waiting.
    func poll() throws(CollectiveError) {
        while let job = jobs.first {
            while !job.isDone { if try !step(job, waits: false) { return } }
            jobs.removeFirst()
        }
    }

    /// Waits for the end of a job, and of those before it.
    func finish(_ job: NodeJob) throws(CollectiveError) {
        while !job.isDone {
            let first = jobs[0]
            while !first.isDone { _ = try step(first, waits: true) }
            jobs.removeFirst()
        }
    }

    /// Waits for the end of all jobs.
    func finishAll() throws(CollectiveError) {
        if let last = jobs.last { try finish(last) }
    }

    // MARK: Steps

    /// Takes the next step, if the others are so far; or waits until they are.
    private func step(_ job: NodeJob, waits: Bool) throws(CollectiveError) -> Bool {
        let everyone = 0..<window.size
        func ready(_ counter: NodeWindow.Counter, _ chunks: UInt32, _ ranks: Range<Int>) throws(CollectiveError) -> Bool {
            if waits { try window.wait(counter, chunks, by: ranks) }
            return waits || window.reached(counter, chunks, by: ranks)
        }
        switch job.phase {
        case .stage(let chunk):
            let number = job.firstChunk &+ UInt32(chunk)
            // Nobody still reads what this slot held.
            guard try ready(.released, number &+ 1 &- UInt32(NodeWindow.slots), everyone) else { return false }
            if chunk == 0 { window.announce(job.signature, number: job.number) }
            stage(job, chunk)
            window.publish(.staged, number &+ 1)
            job.phase = chunk == 0 && job.chunks > 1 ? .stage(1) : .reduce(max(chunk - 1, 0))
        case .reduce(let chunk):
            let number = job.firstChunk &+ UInt32(chunk)
            guard try ready(.staged, number &+ 1, everyone) else { return false }
            if chunk == 0 { try compareCalls(job) }
            if rank < job.lanes { try reduce(job, chunk) }
            job.phase = chunk < lag ? job.reduction(after: chunk, lag: lag) : .across(chunk - lag)
        case .across(let chunk):
            let number = job.firstChunk &+ UInt32(chunk)
            if rank < job.lanes, !links.isEmpty {
                if waits { try links[chunk % 2].wait() }
                guard try links[chunk % 2].poll() else { return false }
            }
            if rank < job.lanes { takeResult(job, chunk) }
            window.publish(.reduced, number &+ 1)
            job.phase = .copy(chunk)
        case .copy(let chunk):
            let number = job.firstChunk &+ UInt32(chunk)
            if job.kind != .reduceScatter {
                guard try ready(.reduced, number &+ 1, 0..<job.lanes) else { return false }
                copy(job, chunk)
            }
            window.publish(.released, number &+ 1)
            job.phase = chunk + 1 < job.chunks ? job.reduction(after: chunk + lag, lag: lag) : .end
        case .end:
            // Values in shared memory are the caller's again only when nobody reads them any more.
            if job.shared != nil {
                let end = job.firstChunk &+ UInt32(job.chunks)
                guard try ready(.released, end, everyone) else { return false }
            }
            job.phase = .done
        case .done: break
        }
        return true
    }

    private func compareCalls(_ job: NodeJob) throws(CollectiveError) {
        for other in 0..<window.size where window.announced(by: other, number: job.number) != job.signature {
            throw .callsDiffer("\(job.kind) on local rank \(rank), another one on local rank \(other) of node \(node)")
        }
    }

    /// Where a lane begins in a rank's stage.
    private func place(_ job: NodeJob, of owner: Int, lane: Int, chunk: Int) -> UnsafeMutableRawPointer {
        let capacity = window.capacity / job.lanes / 16 * 16
        return window.stage(of: owner, chunk: job.firstChunk &+ UInt32(chunk)) + lane * capacity * job.wire.stride
    }

    private func stage(_ job: NodeJob, _ chunk: Int) {
        if job.shared != nil || job.kind == .allgather { return }
        // In fp32 a rank adds its own share of its own lane from where it lies.
        for lane in 0..<job.lanes where lane != rank || job.wire == .bf16 {
            var target = place(job, of: rank, lane: lane, chunk: chunk)
            for segment in 0..<job.segmentsPerLane {
                let range = job.range(lane: lane, segment: segment, chunk: chunk)
                encode(job.whole + range.lowerBound, count: range.count, wire: job.wire, into: target)
                target += range.count * job.wire.stride
            }
        }
    }

    /// Where the own lane's result is made, in fp32.
    private func result(_ job: NodeJob, _ chunk: Int) -> UnsafeMutablePointer<Float> {
        if job.kind == .reduceScatter && nodes == 1 { return job.part! + job.offsetInPart(chunk: chunk) }
        if job.shared != nil { return job.whole + job.range(lane: rank, segment: 0, chunk: chunk).lowerBound }
        if job.wire == .bf16 { return lanes[chunk % 2] }
        return place(job, of: rank, lane: rank, chunk: chunk).assumingMemoryBound(to: Float.self)
    }

    private func reduce(_ job: NodeJob, _ chunk: Int) throws(CollectiveError) {
        let result = result(job, chunk)
        if job.kind == .allgather {
            let segment = node % job.segmentsPerLane
            (result + job.start(ofSegment: segment, lane: rank, chunk: chunk)).update(
                from: job.part! + job.offsetInPart(chunk: chunk),
                count: job.range(lane: rank, segment: segment, chunk: chunk).count)
        } else if window.size > 1 || job.shared == nil || job.kind == .reduceScatter {
            var start = 0
            for segment in 0..<job.segmentsPerLane {
                let range = job.range(lane: rank, segment: segment, chunk: chunk)
                for other in 0..<window.size {
                    inputs[other] =
                        if let shared = job.shared {
                            UnsafeRawPointer(shared.values[other] + range.lowerBound)
                        } else if other == rank && job.wire == .fp32 {
                            UnsafeRawPointer(job.whole + range.lowerBound)
                        } else {
                            UnsafeRawPointer(place(job, of: other, lane: rank, chunk: chunk) + start * job.wire.stride)
                        }
                }
                OrderedSum.sum(
                    UnsafeBufferPointer(inputs), wire: job.wire, count: range.count, into: result + start)
                start += range.count
            }
        }
        guard !links.isEmpty else { return }
        try links[chunk % 2].start(
            result, pieces: job.pieces(lane: rank, chunk: chunk, nodes: nodes), wire: job.wire,
            sums: job.kind != .allgather, joins: job.kind != .reduceScatter)
    }

    /// Brings the finished lane to where it belongs.
    private func takeResult(_ job: NodeJob, _ chunk: Int) {
        let result = result(job, chunk)
        if job.kind == .reduceScatter {
            if nodes == 1 { return }
            let segment = node % job.segmentsPerLane
            let start = job.start(ofSegment: segment, lane: rank, chunk: chunk)
            (job.part! + job.offsetInPart(chunk: chunk)).update(
                from: result + start, count: job.range(lane: rank, segment: segment, chunk: chunk).count)
        } else if job.wire == .bf16 {
            let count = job.count(lane: rank, chunk: chunk)
            BFloat16.encode(result, count: count, into: place(job, of: rank, lane: rank, chunk: chunk))
        }
    }

    private func copy(_ job: NodeJob, _ chunk: Int) {
        for lane in 0..<job.lanes {
            if let shared = job.shared {
                let range = job.range(lane: lane, segment: 0, chunk: chunk)
                if lane == rank { continue }
                (job.whole + range.lowerBound).update(from: shared.values[lane] + range.lowerBound, count: range.count)
                continue
            }
            var source = place(job, of: lane, lane: lane, chunk: chunk)
            for segment in 0..<job.segmentsPerLane {
                let range = job.range(lane: lane, segment: segment, chunk: chunk)
                let isThere = lane == rank && segment == node % job.segmentsPerLane && job.isInPlace
                if !isThere { decode(source, count: range.count, wire: job.wire, into: job.whole + range.lowerBound) }
                source += range.count * job.wire.stride
            }
        }
    }

    private func encode(
        _ source: UnsafePointer<Float>, count: Int, wire: WireFormat, into target: UnsafeMutableRawPointer
    ) {
        switch wire {
        case .fp32: memcpy(target, source, count * 4)
        case .bf16: BFloat16.encode(source, count: count, into: target)
        }
    }

    private func decode(
        _ source: UnsafeRawPointer, count: Int, wire: WireFormat, into target: UnsafeMutablePointer<Float>
    ) {
        switch wire {
        case .fp32: memcpy(target, source, count * 4)
        case .bf16: BFloat16.decode(source, count: count, into: target)
        }
    }
}

extension NodeJob {
    var isDone: Bool { if case .done = phase { true } else { false } }
}
