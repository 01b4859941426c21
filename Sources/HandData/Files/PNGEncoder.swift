internal import CPNG
import Glibc

extension PNG {
    /// Writes a 16-bit single-band greyscale PNG, as ICVL's frames are, under a temporary name and renames it.
    ///
    /// - Parameters:
    ///   - pixels: `size.width * size.height` values, row-major, host byte order.
    ///   - path: the file to write; one that is there is replaced.
    /// - Throws: `DataError` if it cannot be encoded or written.
    package static func write(
        grey16 pixels: UnsafeBufferPointer<UInt16>, size: Size, to path: String
    ) throws(DataError) {
        precondition(pixels.count == size.width * size.height, "the buffer must hold the frame")
        try write(UnsafeRawBufferPointer(pixels), size: size, bitDepth: 16, color: SPNG_COLOR_TYPE_GRAYSCALE, to: path)
    }

    /// Writes an 8-bit RGB PNG under a temporary name and renames it.
    ///
    /// - Parameters:
    ///   - pixels: `size.width * size.height * 3` values, row-major, red first.
    ///   - path: the file to write; one that is there is replaced.
    /// - Throws: `DataError` if it cannot be encoded or written.
    package static func write(rgb8 pixels: UnsafeBufferPointer<UInt8>, size: Size, to path: String) throws(DataError) {
        precondition(pixels.count == size.width * size.height * 3, "the buffer must hold the picture")
        try write(UnsafeRawBufferPointer(pixels), size: size, bitDepth: 8, color: SPNG_COLOR_TYPE_TRUECOLOR, to: path)
    }

    /// The bytes of an 8-bit RGB PNG.
    ///
    /// - Parameter pixels: `size.width * size.height * 3` values, row-major, red first.
    /// - Throws: `PNGError` if it cannot be encoded.
    package static func encode(rgb8 pixels: UnsafeBufferPointer<UInt8>, size: Size) throws(PNGError) -> [UInt8] {
        precondition(pixels.count == size.width * size.height * 3, "the buffer must hold the picture")
        return try encode(UnsafeRawBufferPointer(pixels), size: size, bitDepth: 8, color: SPNG_COLOR_TYPE_TRUECOLOR)
    }

    private static func write(
        _ pixels: UnsafeRawBufferPointer, size: Size, bitDepth: UInt8, color: spng_color_type, to path: String
    ) throws(DataError) {
        let bytes: [UInt8]
        do {
            bytes = try encode(pixels, size: size, bitDepth: bitDepth, color: color)
        } catch {
            throw DataError("cannot encode \(printable(path)): \(error)")
        }
        let result: Result<Void, DataError> = bytes.withUnsafeBytes { bytes in
            Result { () throws(DataError) in try writeAtomically(bytes, to: path) }
        }
        try result.get()
    }

    private static func encode(
        _ pixels: UnsafeRawBufferPointer, size: Size, bitDepth: UInt8, color: spng_color_type
    ) throws(PNGError) -> [UInt8] {
        guard let context = spng_ctx_new(Int32(SPNG_CTX_ENCODER.rawValue)) else { throw PNGError("not enough memory to encode it") }
        defer { spng_ctx_free(context) }
        var encoded: UnsafeMutableRawPointer?
        defer { free(encoded) }
        var length = 0
        var header = spng_ihdr(
            width: UInt32(size.width), height: UInt32(size.height), bit_depth: bitDepth,
            color_type: UInt8(color.rawValue), compression_method: 0, filter_method: 0, interlace_method: 0)
        try check(spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1))
        try check(spng_set_option(context, SPNG_IMG_COMPRESSION_LEVEL, compressionLevel))
        try check(spng_set_option(context, SPNG_FILTER_CHOICE, Int32(filterChoice.rawValue)))
        try check(spng_set_ihdr(context, &header))
        try check(
            spng_encode_image(
                context, pixels.baseAddress, pixels.count, Int32(SPNG_FMT_PNG.rawValue), Int32(SPNG_ENCODE_FINALIZE.rawValue)))
        var code: Int32 = 0
        encoded = spng_get_png_buffer(context, &length, &code)
        try check(code)
        return Array(UnsafeRawBufferPointer(start: encoded, count: length))
    }

    /// Depth frames are mostly one value. Measured on 100 synthetic 320x240 frames: level 3 without row filters writes
    /// one in 0.5 ms and reads it in 0.17 ms, at 7.4 kB; libspng's defaults take 2.9 and 0.37 ms, at 6.3 kB.
    private static var compressionLevel: Int32 { 3 }
    private static var filterChoice: spng_filter_choice { SPNG_FILTER_CHOICE_NONE }
}
