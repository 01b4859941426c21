/// Reads decimal numbers out of raw bytes, without a String a field.
enum FieldParser {
    enum Failure: Error { case notANumber, notFinite }

    /// Powers of ten that a Double holds exactly: with a mantissa below 2^53, one division by them rounds correctly.
    private static let powersOfTen: [Double] = (0...22).map { exponent in
        (0..<exponent).reduce(1.0) { power, _ in power * 10 }
    }

    /// The longest spelling of a number that is read.
    private static let longestField = 64

    /// The decimal number that fills `field`: sign, digits with at most one point, optional exponent.
    ///
    /// Correctly rounded to Double, then to Float.
    /// - Throws: `notANumber` for any other spelling; `notFinite` for nan, inf, and what a Float cannot hold.
    static func float(_ field: Slice<UnsafeRawBufferPointer>) throws(Failure) -> Float {
        let value = Float(try double(field))
        guard value.isFinite else { throw .notFinite }
        return value
    }

    /// The same, correctly rounded to Double.
    static func double(_ field: Slice<UnsafeRawBufferPointer>) throws(Failure) -> Double {
        var index = field.startIndex
        let end = field.endIndex
        guard index < end, end - index <= longestField else { throw .notANumber }
        let base = field.base

        let negative = base[index] == UInt8(ascii: "-")
        if negative || base[index] == UInt8(ascii: "+") { index += 1 }
        var mantissa: UInt64 = 0
        var digits = 0
        var decimals = 0
        var pointSeen = false
        while index < end {
            let byte = base[index]
            let digit = byte &- UInt8(ascii: "0")
            if digit <= 9 {
                mantissa = mantissa &* 10 &+ UInt64(digit)
                digits += 1
                if pointSeen { decimals += 1 }
            } else if byte == UInt8(ascii: "."), !pointSeen {
                pointSeen = true
            } else {
                break
            }
            index += 1
        }
        // Up to 15 digits stay below 2^53.
        if index == end, digits > 0, digits <= 15 {
            let value = Double(mantissa) / powersOfTen[decimals]
            return negative ? -value : value
        }
        return try unusual(field)
    }

    /// Exponents and long mantissas, by the standard library; its spellings beyond decimal (hexadecimal, "nan") are not
    /// numbers of a label file.
    private static func unusual(_ field: Slice<UnsafeRawBufferPointer>) throws(Failure) -> Double {
        let text = String(decoding: field, as: UTF8.self)
        guard let value = Double(text) else { throw .notANumber }
        guard value.isFinite else { throw .notFinite }
        let isDecimal = field.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-.eE".utf8.contains(byte)
        }
        guard isDecimal else { throw .notANumber }
        return value
    }
}
