/// Rows and columns of depth frames as one RGB picture: nearer is lighter, with joints and bones drawn over the hand.
package struct ContactSheet: Sendable {
    /// Width of the picture, pixels.
    package let width: Int
    /// Height of the picture, pixels.
    package let height: Int
    /// (height, width, 3), 8 bits each of red, green, blue.
    package private(set) var pixels: [UInt8]

    /// Frames in the picture.
    package var cellCount: Int { rows * columns }

    private let rows: Int
    private let columns: Int
    private let frameWidth: Int
    private let frameHeight: Int

    /// Pixels between frames.
    private static let gap = 2

    /// Depths from nearest to farthest surface that a frame's greys span at least, mm; a flat hand shall look flat.
    private static let smallestSpan: Float = 120

    /// Red, green, blue of each digit, thumb to pinky, and of the palm.
    package static let colours: [6 of SIMD3<UInt8>] = [
        SIMD3(235, 64, 52), SIMD3(245, 170, 40), SIMD3(90, 200, 70), SIMD3(60, 150, 245), SIMD3(190, 90, 235),
        SIMD3(255, 255, 255),
    ]
    /// The same in words.
    package static let legend = "thumb red, index orange, middle green, ring blue, pinky violet, palm white"

    /// An empty sheet.
    ///
    /// - Parameters:
    ///   - rows: frames below each other.
    ///   - columns: frames side by side.
    ///   - frameWidth: pixels of each frame.
    ///   - frameHeight: pixels of each frame.
    package init(rows: Int, columns: Int, frameWidth: Int, frameHeight: Int) {
        precondition(rows > 0 && columns > 0 && frameWidth > 0 && frameHeight > 0, "a sheet holds at least one frame")
        self.rows = rows
        self.columns = columns
        self.frameWidth = frameWidth
        self.frameHeight = frameHeight
        width = columns * (frameWidth + Self.gap) + Self.gap
        height = rows * (frameHeight + Self.gap) + Self.gap
        pixels = [UInt8](repeating: 24, count: width * height * 3)
    }

    /// A sheet of synthetic hands, frames `first`, `first` + 1, ... in reading order.
    package init(of hands: SyntheticHands, rows: Int, columns: Int, first: UInt64 = 0, drawingJoints: Bool = true) {
        self.init(rows: rows, columns: columns, frameWidth: hands.width, frameHeight: hands.height)
        let scratch = SyntheticHands.Scratch(hands)
        var depth = [UInt16](repeating: 0, count: hands.width * hands.height)
        var label = [Float](repeating: 0, count: SyntheticHands.labelCount)
        for cell in 0..<cellCount {
            depth.withUnsafeMutableBufferPointer { depth in
                label.withUnsafeMutableBufferPointer { label in
                    hands.render(index: first + UInt64(cell), depth: depth, label: label, scratch: scratch)
                }
            }
            place(depth: depth, label: drawingJoints ? label : nil, cell: cell)
        }
    }

    /// A sheet of frames of a source, spread evenly over it, with their joints.
    /// - Throws: `BadSample`.
    package init(of source: any FrameSource, rows: Int, columns: Int) throws(BadSample) {
        self.init(rows: rows, columns: columns, frameWidth: source.width, frameHeight: source.height)
        let depth = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: source.width * source.height)
        let label = UnsafeMutableBufferPointer<Float>.allocate(capacity: SyntheticHands.labelCount)
        defer {
            depth.deallocate()
            label.deallocate()
        }
        for cell in 0..<min(cellCount, source.count) {
            let index = source.count <= cellCount ? cell : cell * source.count / cellCount
            try source.readSample(index, depth: depth, label: label)
            place(depth: Array(depth), label: Array(label), cell: cell)
        }
    }

    /// Draws a frame into a cell.
    ///
    /// - Parameters:
    ///   - depth: (frameHeight, frameWidth), mm; 0 and everything from 1500 mm on is no surface.
    ///   - label: 48 values (u, v pixels, d mm) of the ICVL joints, drawn as dots and bones; `nil` draws none.
    ///   - cell: 0 ..< cellCount, in reading order.
    package mutating func place(depth: [UInt16], label: [Float]?, cell: Int) {
        precondition((0..<cellCount).contains(cell), "no such cell")
        precondition(depth.count == frameWidth * frameHeight, "a frame of another size")
        let left = Self.gap + cell % columns * (frameWidth + Self.gap)
        let top = Self.gap + cell / columns * (frameHeight + Self.gap)
        var nearest = Float.infinity
        var farthest: Float = 0
        for value in depth where value > 0 && value < 1500 {
            nearest = min(nearest, Float(value))
            farthest = max(farthest, Float(value))
        }
        let span = max(farthest - nearest, Self.smallestSpan)
        for v in 0..<frameHeight {
            for u in 0..<frameWidth {
                let value = depth[v * frameWidth + u]
                let colour: SIMD3<UInt8>
                if value == 0 {
                    colour = SIMD3(90, 20, 40)
                } else if value >= 1500 {
                    colour = SIMD3(0, 0, 0)
                } else {
                    colour = SIMD3(repeating: UInt8(235 - 190 * (Float(value) - nearest) / span))
                }
                paint(left + u, top + v, colour)
            }
        }
        if let label {
            precondition(label.count == SyntheticHands.labelCount, "a label holds 48 numbers")
            drawJoints(label, left: left, top: top)
        }
    }

    private mutating func drawJoints(_ label: [Float], left: Int, top: Int) {
        for digit in 0..<5 {
            var previous = SIMD2(label[0], label[1])
            for joint in (1 + 3 * digit)...(3 + 3 * digit) {
                let next = SIMD2(label[3 * joint], label[3 * joint + 1])
                let steps = max(abs(next.x - previous.x), abs(next.y - previous.y)).rounded(.up)
                for step in 0...Int(steps) {
                    dot(previous + (next - previous) * (Float(step) / max(steps, 1)), size: 0, Self.colours[digit], left, top)
                }
                dot(next, size: 1, Self.colours[digit], left, top)
                previous = next
            }
        }
        dot(SIMD2(label[0], label[1]), size: 1, Self.colours[5], left, top)
    }

    /// A square of 2 `size` + 1 pixels, left out where it leaves the frame.
    private mutating func dot(_ place: SIMD2<Float>, size: Int, _ colour: SIMD3<UInt8>, _ left: Int, _ top: Int) {
        guard place.x.isFinite, place.y.isFinite, abs(place.x) < 1e6, abs(place.y) < 1e6 else { return }
        let u = Int(place.x.rounded())
        let v = Int(place.y.rounded())
        for y in v - size...v + size where y >= 0 && y < frameHeight {
            for x in u - size...u + size where x >= 0 && x < frameWidth { paint(left + x, top + y, colour) }
        }
    }

    private mutating func paint(_ x: Int, _ y: Int, _ colour: SIMD3<UInt8>) {
        let offset = 3 * (y * width + x)
        pixels[offset] = colour.x
        pixels[offset + 1] = colour.y
        pixels[offset + 2] = colour.z
    }
}
