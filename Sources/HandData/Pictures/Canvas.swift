/// A picture of 8-bit RGB that lines, letters and depths are drawn into.
package struct Canvas: Sendable {
    package typealias Colour = SIMD3<UInt8>

    package let width: Int
    package let height: Int
    /// (height, width, 3): red, green, blue.
    package private(set) var pixels: [UInt8]

    package init(width: Int, height: Int, background: Colour) {
        precondition(width > 0 && height > 0, "a picture has pixels")
        self.width = width
        self.height = height
        pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { pixels, count in
            count = width * height * 3
            for offset in stride(from: 0, to: count, by: 3) {
                for channel in 0..<3 { pixels[offset + channel] = background[channel] }
            }
        }
    }

    /// Mixes a colour in; what lies outside of the picture is left out.
    /// - Parameter share: of the colour, 0 to 1.
    mutating func blend(_ x: Int, _ y: Int, _ colour: Colour, _ share: Double = 1) {
        guard x >= 0, y >= 0, x < width, y < height, share > 0 else { return }
        let offset = 3 * (y * width + x)
        let share = min(share, 1)
        for channel in 0..<3 {
            let old = Double(pixels[offset + channel])
            pixels[offset + channel] = UInt8((old + (Double(colour[channel]) - old) * share).rounded())
        }
    }

    /// A line with smooth edges; of no length: a disc.
    package mutating func line(_ start: SIMD2<Double>, _ end: SIMD2<Double>, width thickness: Double, _ colour: Colour) {
        let reach = thickness / 2 + 1
        let lowest = SIMD2(min(start.x, end.x), min(start.y, end.y)) - reach
        let highest = SIMD2(max(start.x, end.x), max(start.y, end.y)) + reach
        guard lowest.x.isFinite, lowest.y.isFinite, highest.x.isFinite, highest.y.isFinite, lowest.x < Double(width),
            lowest.y < Double(height), highest.x >= 0, highest.y >= 0
        else { return }
        let along = end - start
        let square = (along * along).sum()
        for y in max(0, Int(lowest.y))...min(height - 1, Int(highest.y)) {
            for x in max(0, Int(lowest.x))...min(width - 1, Int(highest.x)) {
                let offset = SIMD2(Double(x), Double(y)) - start
                let share = square > 0 ? max(0, min(1, (offset * along).sum() / square)) : 0
                let distance = offset - share * along
                blend(x, y, colour, thickness / 2 + 0.5 - (distance * distance).sum().squareRoot())
            }
        }
    }

    /// Letters whose upper left corner is at (x, y).
    package mutating func text(_ text: String, x: Int, y: Int, scale: Int = 1, _ colour: Colour) {
        for (place, letter) in text.unicodeScalars.enumerated() {
            let letter = letter.isASCII ? UInt8(letter.value) : UInt8(ascii: "?")
            for row in 0..<PixelFont.height * scale {
                for column in 0..<PixelFont.width * scale
                where PixelFont.isSet(letter, column: column / scale, row: row / scale) {
                    blend(x + place * (PixelFont.width + 1) * scale + column, y + row, colour)
                }
            }
        }
    }

    /// Pixels that letters take in a row.
    package static func width(of text: String, scale: Int = 1) -> Int {
        max(0, text.unicodeScalars.count * (PixelFont.width + 1) * scale - scale)
    }

    /// Copies another picture in.
    package mutating func paste(_ other: Canvas, x: Int, y: Int) {
        for row in 0..<other.height {
            for column in 0..<other.width {
                let offset = 3 * (row * other.width + column)
                blend(x + column, y + row, SIMD3(other.pixels[offset], other.pixels[offset + 1], other.pixels[offset + 2]))
            }
        }
    }

    /// The bytes of a PNG file.
    /// - Throws: `PNGError`.
    package func png() throws(PNGError) -> [UInt8] {
        let result: Result<[UInt8], PNGError> = pixels.withUnsafeBufferPointer { pixels in
            Result { () throws(PNGError) in try PNG.encode(rgb8: pixels, size: PNG.Size(width: width, height: height)) }
        }
        return try result.get()
    }

    /// Writes it as a PNG under a temporary name and renames it.
    /// - Throws: `DataError`.
    package func write(to path: String) throws(DataError) {
        let result: Result<Void, DataError> = pixels.withUnsafeBufferPointer { pixels in
            Result { () throws(DataError) in try PNG.write(rgb8: pixels, size: PNG.Size(width: width, height: height), to: path) }
        }
        try result.get()
    }
}
