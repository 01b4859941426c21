/// A message of Protocol Buffers (protobuf.dev, "Encoding") in the making: fields in the order they were added.
///
/// Large tensors stay where they are and are named only, so that a model of any size is written in pieces.
struct ProtobufMessage {
    enum Piece {
        case bytes([UInt8])
        /// The values of a stored tensor, little-endian.
        case stored(tensor: String, byteCount: Int)
    }

    private(set) var pieces: [Piece] = []
    /// Bytes of the message as it will be written.
    private(set) var byteCount = 0

    private enum WireType: Int { case varint = 0, length = 2, fixed32 = 5 }

    mutating func integer(_ field: Int, _ value: Int) {
        tag(field, .varint)
        varint(UInt64(bitPattern: Int64(value)))
    }

    mutating func float(_ field: Int, _ value: Float) {
        tag(field, .fixed32)
        append(withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) })
    }

    mutating func bytes(_ field: Int, _ value: [UInt8]) {
        tag(field, .length)
        varint(UInt64(value.count))
        append(value)
    }

    mutating func text(_ field: Int, _ value: String) { bytes(field, Array(value.utf8)) }

    mutating func message(_ field: Int, _ value: ProtobufMessage) {
        tag(field, .length)
        varint(UInt64(value.byteCount))
        pieces += value.pieces
        byteCount += value.byteCount
    }

    /// A field of bytes that are those of a stored tensor.
    mutating func stored(_ field: Int, tensor: String, byteCount count: Int) {
        tag(field, .length)
        varint(UInt64(count))
        pieces.append(.stored(tensor: tensor, byteCount: count))
        byteCount += count
    }

    private mutating func tag(_ field: Int, _ type: WireType) { varint(UInt64(field << 3 | type.rawValue)) }

    private mutating func varint(_ value: UInt64) {
        var (rest, bytes) = (value, [UInt8]())
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(bytes + [UInt8(rest)])
    }

    private mutating func append(_ more: [UInt8]) {
        byteCount += more.count
        if case .bytes(let before)? = pieces.last {
            pieces[pieces.count - 1] = .bytes(before + more)
        } else {
            pieces.append(.bytes(more))
        }
    }
}
