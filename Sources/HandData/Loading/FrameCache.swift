import Glibc
import System

/// Decoded frames in memory, losslessly, shared by the loader's threads: a frame found here costs no disk and no
/// decoding.
///
/// A frame is stored as its most common value (the background) and the box of pixels that differ. Frames are taken in
/// until `byteLimit` is reached and then kept: an epoch visits every frame once in random order, so the least recently
/// used frame is the likeliest to come next, and replacing by recency would only cost work.
///
/// Sendable because an entry is written before it is published under the lock, and never changes after.
package final class FrameCache: @unchecked Sendable {
    private let width: Int
    private let height: Int
    private let region: UnsafeMutableRawPointer
    private let capacity: Int
    private let condition = ConditionLock()
    /// Bytes of the region in use, whole values of UInt16.
    private var used = 0
    private var isFull = false
    /// Where frame i starts in the region; -1: not here.
    private var starts: [Int]

    /// The values before an entry's pixels: background, left, top, box width, box height.
    private static let headerCount = 5

    /// A cache for the frames 0..<count of one source. Memory is taken page by page as frames come in.
    /// - Parameter byteLimit: what the stored frames may take.
    /// - Throws: `DataError` if the address space cannot be had.
    package init(count: Int, width: Int, height: Int, byteLimit: Int) throws(DataError) {
        precondition(width < 65_536 && height < 65_536, "box edges are stored in 16 bits")
        self.width = width
        self.height = height
        let largest = (width * height + Self.headerCount) * MemoryLayout<UInt16>.stride
        let (most, overflow) = largest.multipliedReportingOverflow(by: count)
        capacity = max(overflow ? byteLimit : min(byteLimit, most), 0)
        let mapped = mmap(
            nil, max(capacity, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | Int32(MAP_NORESERVE), -1, 0)
        guard let mapped, mapped != MAP_FAILED else {
            throw DataError("cannot reserve \(capacity) bytes for the frame cache; hint: a smaller --cache")
        }
        region = mapped
        starts = [Int](repeating: -1, count: count)
    }

    deinit { munmap(region, max(capacity, 1)) }

    /// Bytes that stored frames take.
    package var bytesUsed: Int { condition.withLock { used } }
    /// Number of frames stored.
    package var frameCount: Int { condition.withLock { starts.count { $0 >= 0 } } }

    /// Writes the conditioned frame `index` to `input`, the same values as conditioning the decoded frame gives.
    /// - Returns: false, with `input` untouched, if the frame is not here.
    package func load(
        _ index: Int, conditioning: DepthConditioning, into input: UnsafeMutableBufferPointer<Float>
    ) -> Bool {
        precondition(input.count == width * height, "the buffer must hold a frame")
        let start = condition.withLock { starts[index] }
        guard start >= 0 else { return false }
        let entry = (region + start).assumingMemoryBound(to: UInt16.self)
        let (left, top, boxWidth, boxHeight) = (Int(entry[1]), Int(entry[2]), Int(entry[3]), Int(entry[4]))
        input.update(repeating: conditioning.value(entry[0]))
        for row in 0..<boxHeight {
            let source = UnsafeBufferPointer(start: entry + Self.headerCount + row * boxWidth, count: boxWidth)
            let target = (top + row) * width + left
            conditioning.apply(source, to: UnsafeMutableBufferPointer(rebasing: input[target..<(target + boxWidth)]))
        }
        return true
    }

    /// Writes the frame `index` to `depth`, the depths as they were stored.
    /// - Returns: false, with `depth` untouched, if the frame is not here.
    package func load(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) -> Bool {
        precondition(depth.count == width * height, "the buffer must hold a frame")
        let start = condition.withLock { starts[index] }
        guard start >= 0 else { return false }
        let entry = (region + start).assumingMemoryBound(to: UInt16.self)
        let (left, top, boxWidth, boxHeight) = (Int(entry[1]), Int(entry[2]), Int(entry[3]), Int(entry[4]))
        depth.update(repeating: entry[0])
        for row in 0..<boxHeight {
            let target = depth.baseAddress! + (top + row) * width + left
            target.update(from: entry + Self.headerCount + row * boxWidth, count: boxWidth)
        }
        return true
    }

    /// Stores frame `index` unless it is here or there is no room left.
    package func store(_ index: Int, depth: UnsafeBufferPointer<UInt16>) {
        precondition(depth.count == width * height, "the buffer must hold a frame")
        if condition.withLock({ isFull || starts[index] >= 0 }) { return }

        let background = Self.commonValue(depth)
        let box = boundingBox(depth, background)
        let bytes = (Self.headerCount + box.width * box.height) * MemoryLayout<UInt16>.stride
        let start: Int? = condition.withLock {
            // The first frame that does not fit ends it: smaller ones behind it would make what is cached depend on luck.
            guard !isFull, capacity - used >= bytes else {
                isFull = true
                return nil
            }
            defer { used += bytes }
            return used
        }
        guard let start else { return }
        let entry = (region + start).assumingMemoryBound(to: UInt16.self)
        entry[0] = background
        entry[1] = UInt16(box.left)
        entry[2] = UInt16(box.top)
        entry[3] = UInt16(box.width)
        entry[4] = UInt16(box.height)
        for row in 0..<box.height {
            let source = depth.baseAddress! + (box.top + row) * width + box.left
            (entry + Self.headerCount + row * box.width).update(from: source, count: box.width)
        }
        condition.withLock { starts[index] = start }
    }

    /// The value that most pixels have, if one has the majority (Boyer and Moore's vote); some value of the frame
    /// otherwise.
    package static func commonValue(_ depth: UnsafeBufferPointer<UInt16>) -> UInt16 {
        var candidate: UInt16 = 0
        var votes = 0
        for value in depth {
            if votes == 0 { candidate = value }
            votes += value == candidate ? 1 : -1
        }
        return candidate
    }

    /// The smallest box that holds all pixels other than `background`; empty at the origin if there are none.
    private func boundingBox(
        _ depth: UnsafeBufferPointer<UInt16>, _ background: UInt16
    ) -> (left: Int, top: Int, width: Int, height: Int) {
        var left = width
        var right = -1
        var top = height
        var bottom = -1
        for row in 0..<height {
            let pixels = UnsafeBufferPointer(rebasing: depth[(row * width)..<((row + 1) * width)])
            guard let first = pixels.firstIndex(where: { $0 != background }) else { continue }
            let last = pixels.lastIndex { $0 != background }!
            left = min(left, first)
            right = max(right, last)
            top = min(top, row)
            bottom = row
        }
        return bottom < 0 ? (0, 0, 0, 0) : (left, top, right - left + 1, bottom - top + 1)
    }
}
