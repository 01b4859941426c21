internal import CPNG
import Glibc

/// Why a PNG could not be decoded, in words for one line of a message.
package struct PNGError: Error, CustomStringConvertible, Equatable {
    package let description: String
    /// Whether the file may be read later: not its content is to blame.
    package let mayPass: Bool

    init(_ description: String, mayPass: Bool = false) { (self.description, self.mayPass) = (description, mayPass) }
}

/// Reading 16-bit greyscale PNG with libspng.
package enum PNG {
    /// Width and height in pixels as the file's IHDR chunk states them.
    package struct Size: Equatable, Sendable, CustomStringConvertible {
        package let width: Int
        package let height: Int

        package init(width: Int, height: Int) {
            self.width = width
            self.height = height
        }

        package var description: String { "\(width)x\(height)" }
    }

    private static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    /// No allocation of the decoder may exceed this: a row, its window and its state need far less, and a forged
    /// chunk can ask for no more.
    private static let largestAllocation = 8 << 20
    /// Sum of what ancillary chunks (text, profiles) may unpack to.
    private static let ancillaryLimit = 1 << 20
    /// The largest side of a frame that is believed.
    private static let largestSide = 8192

    /// Decodes a 16-bit single-band greyscale image (spng_decode_image) into `output`, row-major, host byte order.
    ///
    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - size: what the image must be.
    ///   - output: `size.width * size.height` values; undefined after an error.
    /// - Throws: `PNGError` if the bytes are no PNG, cut short, damaged (checksums are verified, also of the chunks
    ///   behind the image), of another size, or not 16-bit single-band.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer, expecting size: Size, into output: UnsafeMutableBufferPointer<UInt16>
    ) throws(PNGError) {
        precondition(output.count == size.width * size.height, "the buffer must hold the expected frame")
        let decoder = try Decoder(bytes)
        let header = try decoder.header()
        let found = Size(width: Int(header.width), height: Int(header.height))
        guard found == size else { throw PNGError("wrong size \(found), expected \(size)") }
        try requireDepth(header)

        let raw = UnsafeMutableRawBufferPointer(output)
        try check(spng_decode_image(decoder.context, raw.baseAddress, raw.count, Int32(SPNG_FMT_PNG.rawValue), 0))
        // The rest of the file, so that one cut behind its pixels does not pass.
        try check(spng_decode_chunks(decoder.context))
        try requireEnd(bytes)
    }

    /// Walks the chunks' lengths to the end of IEND, whose last bytes spng does not ask for.
    private static func requireEnd(_ bytes: UnsafeRawBufferPointer) throws(PNGError) {
        let overhead = 12  // length, type and checksum, 4 bytes each
        var offset = 8
        while offset <= bytes.count - overhead {
            let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            let type = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
            if type == 0x4945_4E44 { return }  // "IEND"
            offset += overhead + length
        }
        throw PNGError("truncated PNG file")
    }

    /// Decodes the file at `path` as `decode(_:expecting:into:)` does; a file larger than any such image is refused
    /// unread.
    static func decode(
        file path: UnsafePointer<CChar>, expecting size: Size, into output: UnsafeMutableBufferPointer<UInt16>
    ) throws(PNGError) {
        // Twice the raw pixels leaves room for bad compression, the rest for text and profiles.
        let limit = 4 * size.width * size.height + ancillaryLimit
        let file = try reading { () throws(FileFailure) in try FileBytes(contentsOf: path, limit: limit) }
        try decode(file.bytes, expecting: size, into: output)
    }

    /// Width and height of the 16-bit greyscale PNG file at `path`; reads its first bytes only.
    static func size(ofFile path: UnsafePointer<CChar>) throws(PNGError) -> Size {
        try withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { head throws(PNGError) in
            let filled = try reading { () throws(FileFailure) in
                let file = try FileDescriptor(opening: path, flags: O_RDONLY)
                _ = try file.regularSize()
                return try file.read(into: head)
            }
            return try size(of: UnsafeRawBufferPointer(rebasing: head[..<filled]))
        }
    }

    /// Width and height of a 16-bit single-band greyscale PNG, from its first bytes alone.
    package static func size(of bytes: UnsafeRawBufferPointer) throws(PNGError) -> Size {
        let header = try Decoder(bytes).header()
        try requireDepth(header)
        guard header.width <= UInt32(largestSide), header.height <= UInt32(largestSide) else {
            throw PNGError(
                "wrong size \(header.width)x\(header.height), at most \(largestSide)x\(largestSide) expected")
        }
        return Size(width: Int(header.width), height: Int(header.height))
    }

    private static func reading<Value: ~Copyable>(_ body: () throws(FileFailure) -> Value) throws(PNGError) -> Value {
        do throws(FileFailure) {
            return try FileFailure.retrying(body)
        } catch {
            throw PNGError(error.reason, mayPass: error.mayPass)
        }
    }

    private static func requireDepth(_ header: spng_ihdr) throws(PNGError) {
        let greyscale = UInt32(header.color_type) == SPNG_COLOR_TYPE_GRAYSCALE.rawValue
        guard greyscale, header.bit_depth == 16 else {
            throw PNGError(
                "wrong depth: \(header.bit_depth)-bit \(colorName(header.color_type)), expected 16-bit single-band greyscale"
            )
        }
    }

    private static func colorName(_ type: UInt8) -> String {
        switch UInt32(type) {
        case SPNG_COLOR_TYPE_GRAYSCALE.rawValue: "greyscale"
        case SPNG_COLOR_TYPE_TRUECOLOR.rawValue: "colour"
        case SPNG_COLOR_TYPE_INDEXED.rawValue: "palette"
        case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA.rawValue: "greyscale with alpha"
        default: "colour with alpha"
        }
    }

    static func check(_ code: Int32) throws(PNGError) {
        switch code {
        case 0: return
        case SPNG_IO_EOF.rawValue, Int32(SPNG_EOF.rawValue), Int32(SPNG_EIDAT_TOO_SHORT.rawValue):
            throw PNGError("truncated PNG file")
        default: throw PNGError("damaged PNG file (\(String(cString: spng_strerror(code))))")
        }
    }

    /// A decoding context over bytes that outlive it.
    private final class Decoder {
        let context: OpaquePointer

        init(_ bytes: UnsafeRawBufferPointer) throws(PNGError) {
            guard !bytes.isEmpty else { throw PNGError("empty file") }
            guard bytes.starts(with: PNG.signature) else { throw PNGError("not a PNG file") }
            var allocator = spng_alloc(
                malloc_fn: { $0 > PNG.largestAllocation ? nil : malloc($0) },
                realloc_fn: { $1 > PNG.largestAllocation ? nil : realloc($0, $1) },
                calloc_fn: { count, size in
                    let (total, overflow) = count.multipliedReportingOverflow(by: size)
                    return overflow || total > PNG.largestAllocation ? nil : calloc(count, size)
                },
                free_fn: { free($0) })
            guard let made = spng_ctx_new2(&allocator, 0) else { throw PNGError("not enough memory to decode it") }
            context = made
            let strict = Int32(SPNG_CRC_ERROR.rawValue)
            try PNG.check(spng_set_crc_action(context, strict, strict))
            try PNG.check(spng_set_image_limits(context, UInt32(Int32.max), UInt32(Int32.max)))
            try PNG.check(spng_set_chunk_limits(context, max(bytes.count, 64), PNG.ancillaryLimit))
            try PNG.check(spng_set_png_buffer(context, bytes.baseAddress, bytes.count))
        }

        deinit { spng_ctx_free(context) }

        func header() throws(PNGError) -> spng_ihdr {
            var header = spng_ihdr()
            try PNG.check(spng_get_ihdr(context, &header))
            return header
        }
    }
}
