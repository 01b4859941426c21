/// Something that yields depth frames with the hand's joints, by index: a data set on disk, or a renderer.
///
/// Reading is pure: the same index yields the same frame and label whenever and on whatever thread it is read.
package protocol FrameSource: Sendable {
    /// Number of samples, indices 0..<count.
    var count: Int { get }
    /// Frame size in pixels.
    var width: Int { get }
    var height: Int { get }

    /// Writes the label of sample `index`: 48 values, u px, v px, d mm for each of 16 joints. Cheap.
    func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>)

    /// Writes the frame of sample `index`: width * height depths in mm, row-major.
    /// - Throws: `BadSample` if it cannot be read; the buffer is undefined then.
    func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) throws(BadSample)

    /// Writes both. Sources that make frame and label in one go do so here.
    func readSample(
        _ index: Int, depth: UnsafeMutableBufferPointer<UInt16>, label: UnsafeMutableBufferPointer<Float>
    ) throws(BadSample)

    /// Where sample `index` comes from, for messages, for example `labels.txt:12: .../image_0011.png`.
    func describe(_ index: Int) -> String

    /// Sample `index` as one that cannot be used, for `reason`.
    func refuse(_ index: Int, reason: String) -> BadSample

    /// A hash of names, labels and frame size, the same on every machine: it changes when the data set does.
    var fingerprint: UInt64 { get }
}

extension FrameSource {
    package func readSample(
        _ index: Int, depth: UnsafeMutableBufferPointer<UInt16>, label: UnsafeMutableBufferPointer<Float>
    ) throws(BadSample) {
        readLabel(index, into: label)
        try readFrame(index, into: depth)
    }

    package func refuse(_ index: Int, reason: String) -> BadSample {
        BadSample(path: "", labelFile: describe(index), line: index + 1, index: index, reason: reason)
    }
}

/// A 64-bit hash of a stream of bytes, the same on every machine; multiply and mix, 8 bytes at a time.
/// For telling data sets apart, not against an adversary.
struct StreamHash {
    private(set) var value: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func combine(_ word: UInt64) {
        let (high, low) = (value ^ word).multipliedFullWidth(by: 0xD1B5_4A32_D192_ED03)
        value = (high ^ low) &+ 0x9E37_79B9_7F4A_7C15
    }

    mutating func combine(_ bytes: UnsafeRawBufferPointer) {
        combine(UInt64(bytes.count))
        var offset = 0
        while offset + 8 <= bytes.count {
            combine(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        var last: UInt64 = 0
        for byte in bytes[offset...] { last = last << 8 | UInt64(byte) }
        combine(last)
    }
}
