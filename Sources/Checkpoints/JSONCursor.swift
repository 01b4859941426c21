/// What a strict reading of JSON text found wrong, and at which byte.
struct JSONFault: Error {
    let position: Int
    let reason: String
}

/// A cursor over JSON text (RFC 8259) that knows strings and whole numbers: all that a safetensors header is made of.
///
/// Foundation's decoder keeps neither the order of keys nor their duplicates; here both matter. Nothing recurses, so no
/// depth of nesting can exhaust the stack.
struct JSONCursor {
    private let bytes: [UInt8]
    private(set) var position: Int

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        position = 0
    }

    func fault(_ reason: String) -> JSONFault {
        JSONFault(position: position, reason: reason)
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    /// Takes a punctuation mark if it is next.
    mutating func take(_ mark: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: mark) else { return false }
        position += 1
        return true
    }

    /// Takes a punctuation mark that must be next.
    mutating func expect(_ mark: Unicode.Scalar) throws(JSONFault) {
        guard take(mark) else {
            throw fault(position < bytes.count ? "expected '\(mark)'" : "ends where '\(mark)' is expected")
        }
    }

    /// Nothing but space may be left.
    mutating func expectEnd() throws(JSONFault) {
        skipSpace()
        guard position == bytes.count else { throw fault("more text after the end of the table") }
    }

    /// Calls `member` with each key of an object, the cursor at its value.
    mutating func object(
        _ member: (inout JSONCursor, String) throws(JSONFault) -> Void
    ) throws(JSONFault) {
        try expect("{")
        if take("}") { return }
        repeat {
            let key = try string()
            try expect(":")
            try member(&self, key)
        } while take(",")
        try expect("}")
    }

    /// An array of whole numbers, at most `limit` of them.
    mutating func wholeNumbers(limit: Int) throws(JSONFault) -> [Int] {
        try expect("[")
        var numbers: [Int] = []
        if take("]") { return numbers }
        repeat {
            guard numbers.count < limit else { throw fault("more than \(limit) numbers in an array") }
            numbers.append(try wholeNumber())
        } while take(",")
        try expect("]")
        return numbers
    }

    /// Digits without sign, fraction, exponent or leading zero, up to `Int.max`.
    mutating func wholeNumber() throws(JSONFault) -> Int {
        skipSpace()
        let start = position
        var value = 0
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(Int(bytes[position] - 0x30))
            guard !overflow, !carry else { throw fault("a number is too large") }
            value = sum
            position += 1
        }
        guard position > start else { throw fault("expected a whole number") }
        guard bytes[start] != 0x30 || position == start + 1 else { throw fault("a number begins with 0") }
        return value
    }

    /// A string with its escapes resolved; it must be valid UTF-8 without control characters.
    mutating func string() throws(JSONFault) -> String {
        try expect("\"")
        var content: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case 0x22:
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw fault("a string is not valid UTF-8")
                }
                position += 1
                return text
            case 0x5C:
                position += 1
                try escape(into: &content)
            case 0..<0x20:
                throw fault("a control character within a string")
            default:
                content.append(byte)
                position += 1
            }
        }
        throw fault("ends within a string")
    }

    private mutating func escape(into content: inout [UInt8]) throws(JSONFault) {
        guard position < bytes.count else { throw fault("ends within a string") }
        let letter = bytes[position]
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(letter)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if (0xD800..<0xDC00).contains(code) {
                guard position + 2 <= bytes.count, bytes[position] == 0x5C, bytes[position + 1] == UInt8(ascii: "u")
                else { throw fault("half of a surrogate pair") }
                position += 2
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw fault("half of a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw fault("half of a surrogate pair") }
            content.append(contentsOf: UTF8.encode(scalar).unsafelyUnwrapped)
        default:
            throw fault("an unknown escape within a string")
        }
    }

    private mutating func hexadecimal() throws(JSONFault) -> UInt32 {
        guard position + 4 <= bytes.count else { throw fault("ends within an escape") }
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue, bytes[position] < 0x80 else {
                throw fault("an escape without four hexadecimal digits")
            }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }
}

/// A string as JSON text, quotes included.
func jsonText(_ string: String) -> String {
    var text = "\""
    for scalar in string.unicodeScalars {
        switch scalar {
        case "\"": text += "\\\""
        case "\\": text += "\\\\"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: text.unicodeScalars.append(scalar)
        }
    }
    return text + "\""
}
