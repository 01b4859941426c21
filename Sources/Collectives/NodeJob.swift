import System

/// One collective on floats, on its way through the node.
///
/// The work is cut into lanes, one for each local rank that reduces, and each lane into chunks. A lane consists of segments: one
/// for a sum, the parts of its ranks on the different nodes for a reduce-scatter or an allgather.
final class NodeJob {
    enum Kind: Int {
        case sum, reduceScatter, allgather
    }

    /// What is done next, for a chunk.
    enum Phase {
        case stage(Int)
        case reduce(Int)
        case across(Int)
        case copy(Int)
        case end
        case done
    }

    let kind: Kind
    let wire: WireFormat
    /// The whole: of a sum the values, of a reduce-scatter the contributions, of an allgather the result.
    let whole: UnsafeMutablePointer<Float>
    /// This rank's part: of a reduce-scatter the result, of an allgather the contribution.
    let part: UnsafeMutablePointer<Float>?
    /// Where `whole` lies, when that is in memory which the ranks of the node share; nil when values go through the stages.
    let shared: SharedValues?
    /// Tells calls apart: the same on all ranks that make the same call.
    let signature: UInt64
    let chunks: Int
    var phase = Phase.stage(0)
    /// Numbers of this job's first chunk and of the job; set when it begins.
    var firstChunk: UInt32 = 0
    var number: UInt32 = 0

    private let segments: [[Range<Int>]]
    private let segmentCapacity: Int

    /// - Parameters:
    ///   - segments: for each lane its segments, as ranges of `whole`.
    ///   - laneCapacity: floats of a lane in one chunk.
    init(
        _ kind: Kind, wire: WireFormat, whole: UnsafeMutablePointer<Float>, part: UnsafeMutablePointer<Float>?,
        shared: SharedValues?, segments: [[Range<Int>]], laneCapacity: Int
    ) {
        self.kind = kind
        self.wire = wire
        self.whole = whole
        self.part = part
        self.shared = shared
        self.segments = segments
        let each = laneCapacity / segments[0].count
        segmentCapacity = each >= 16 ? each / 16 * 16 : max(each, 1)
        let longest = segments.joined().reduce(0) { max($0, $1.count) }
        chunks = (longest + segmentCapacity - 1) / segmentCapacity
        // FNV-1a over what must agree.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ value: Int) { hash = (hash ^ UInt64(truncatingIfNeeded: value)) &* 0x0000_0100_0000_01B3 }
        mix(kind.rawValue)
        mix(wire.stride)
        mix(shared?.offset ?? -1)
        for segment in segments.joined() { mix(segment.upperBound) }
        signature = hash
    }

    /// What follows when chunk `chunk` is reduced, and all that had to be done before the next one: staging the one after the
    /// next; or reducing the next; or, at the end, taking what is still under way between the nodes.
    func reduction(after chunk: Int, lag: Int) -> Phase {
        if chunk + 2 < chunks { return .stage(chunk + 2) }
        if chunk + 1 < chunks { return .reduce(chunk + 1) }
        return .across(chunk + 1 - lag)
    }

    var lanes: Int { segments.count }
    var segmentsPerLane: Int { segments[0].count }

    /// What chunk `chunk` has of a segment, as a range of `whole`.
    func range(lane: Int, segment: Int, chunk: Int) -> Range<Int> {
        let range = segments[lane][segment]
        let start = min(range.lowerBound + chunk * segmentCapacity, range.upperBound)
        return start..<min(start + segmentCapacity, range.upperBound)
    }

    /// Whether this rank's `part` lies in its place in `whole` already; what is rounded on its way is not there yet.
    var isInPlace: Bool {
        guard kind == .allgather, wire == .fp32, let part else { return false }
        return part >= whole && segments.joined().contains { whole + $0.lowerBound == part && !$0.isEmpty }
    }

    /// Where that lies in this rank's `part`.
    func offsetInPart(chunk: Int) -> Int { chunk * segmentCapacity }

    /// Where a segment begins in the chunk's lane.
    func start(ofSegment segment: Int, lane: Int, chunk: Int) -> Int {
        var start = 0
        for earlier in 0..<segment { start += range(lane: lane, segment: earlier, chunk: chunk).count }
        return start
    }

    /// Floats of a lane in a chunk.
    func count(lane: Int, chunk: Int) -> Int { start(ofSegment: segmentsPerLane, lane: lane, chunk: chunk) }

    /// Who owns what of a lane in a chunk, among `nodes`: the segments, or of a single one equal parts.
    func pieces(lane: Int, chunk: Int, nodes: Int) -> [Range<Int>] {
        if segmentsPerLane == nodes {
            var start = 0
            return (0..<nodes).map { segment in
                let count = range(lane: lane, segment: segment, chunk: chunk).count
                defer { start += count }
                return start..<start + count
            }
        }
        return evenParts(of: count(lane: lane, chunk: chunk), into: nodes)
    }
}

/// The same values on each rank of a node, in memory that all of them see.
struct SharedValues {
    /// By local rank.
    let values: [UnsafeMutablePointer<Float>]
    /// Where they begin in that memory, the same on all ranks.
    let offset: Int
}

/// `0 ..< count` in `parts` ranges whose bounds are multiples of 16 floats, a cache line, except the last.
func evenParts(of count: Int, into parts: Int) -> [Range<Int>] {
    (0..<parts).map { index in
        let units = part(index, of: parts, total: (count + 15) / 16)
        return min(units.lowerBound * 16, count)..<min(units.upperBound * 16, count)
    }
}
