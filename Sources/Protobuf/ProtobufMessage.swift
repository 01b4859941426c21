/// A message of Protocol Buffers (protobuf.dev, "Encoding") in the making: fields in the order they were added.
///
/// Large tensors stay where they are and are named only, so that a model of any size is written in pieces.
package struct ProtobufMessage: Sendable {
    package enum Piece: Sendable {
        case bytes([UInt8])
        /// The values of a stored tensor, little-endian.
        case stored(tensor: String, byteCount: Int)
    }

    package private(set) var pieces: [Piece] = []
    /// Bytes of the message as it will be written.
    package private(set) var byteCount = 0

    private enum WireType: Int { case varint = 0, fixed64 = 1, length = 2, fixed32 = 5 }

    package init() {}

    /// The message with the fields that `fill` adds.
    package init(_ fill: (inout ProtobufMessage) -> Void) { fill(&self) }

    /// All of a message that names no stored tensor.
    package var encoded: [UInt8] {
        pieces.flatMap { piece in
            guard case .bytes(let bytes) = piece else { preconditionFailure("a stored tensor's bytes are not in the message") }
            return bytes
        }
    }

    package mutating func integer(_ field: Int, _ value: Int) {
        tag(field, .varint)
        varint(UInt64(bitPattern: Int64(value)))
    }

    package mutating func float(_ field: Int, _ value: Float) {
        tag(field, .fixed32)
        append(withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) })
    }

    package mutating func double(_ field: Int, _ value: Double) {
        tag(field, .fixed64)
        append(withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) })
    }

    package mutating func bytes(_ field: Int, _ value: [UInt8]) {
        tag(field, .length)
        varint(UInt64(value.count))
        append(value)
    }

    package mutating func text(_ field: Int, _ value: String) { bytes(field, Array(value.utf8)) }

    package mutating func message(_ field: Int, _ value: ProtobufMessage) {
        tag(field, .length)
        varint(UInt64(value.byteCount))
        for piece in value.pieces {
            switch piece {
            case .bytes(let bytes): append(bytes)
            case .stored(_, let count):
                pieces.append(piece)
                byteCount += count
            }
        }
    }

    /// A message within this one, with the fields that `fill` adds.
    package mutating func message(_ field: Int, _ fill: (inout ProtobufMessage) -> Void) { message(field, ProtobufMessage(fill)) }

    /// A field of bytes that are those of a stored tensor.
    package mutating func stored(_ field: Int, tensor: String, byteCount count: Int) {
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
        guard case .bytes(var bytes)? = pieces.last else { return pieces.append(.bytes(more)) }
        // Off the list, so that the array is nobody else's and grows in place.
        pieces.removeLast()
        bytes += more
        pieces.append(.bytes(bytes))
    }
}
