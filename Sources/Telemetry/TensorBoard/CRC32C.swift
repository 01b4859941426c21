/// The checksum of TFRecord: CRC-32 with Castagnoli's polynomial (RFC 3720, appendix B.4), bits in reflected order.
package enum CRC32C {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
    }

    package static func of(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { value, byte in table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ value >> 8 }
    }

    /// As TFRecord stores it: rotated and shifted, since a checksum of data that holds checksums is weak.
    package static func masked(_ bytes: [UInt8]) -> UInt32 {
        let value = of(bytes)
        return (value >> 15 | value << 17) &+ 0xA282_EAD8
    }
}
