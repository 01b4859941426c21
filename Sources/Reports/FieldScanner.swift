import Glibc

/// Reads JSON lines fast: the members of an object as numbers and texts by their paths, such as `validation.loss`.
///
/// A path has a number, so that columns can be kept by it and a file of hundreds of thousands of lines makes no text twice.
/// Elements of a list have their index as name. A null is not a number (NaN); true and false are 1 and 0.
struct FieldScanner {
    /// The paths that were met, by their numbers.
    private(set) var names: [String] = []
    private var numbersOfHashes: [UInt64: Int] = [:]

    /// Of the line that was scanned last.
    private(set) var numbers: [(path: Int, value: Double)] = []
    private(set) var texts: [(path: Int, value: String)] = []

    private var position = 0
    private static let deepest = 8
    private static let basis: UInt64 = 0xcbf2_9ce4_8422_2325

    /// The number of a path; a new one where it was not met yet.
    mutating func number(of path: String) -> Int {
        var hash = Self.basis
        for byte in path.utf8 { Self.mix(&hash, byte) }
        return intern(hash, { path })
    }

    /// Scans one line.
    /// - Returns: whether it is a whole object; else nothing of it is to be used.
    mutating func scan(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        numbers.removeAll(keepingCapacity: true)
        texts.removeAll(keepingCapacity: true)
        position = 0
        skipSpace(line)
        guard value(line, hash: Self.basis, path: -1, depth: 0), line.first == UInt8(ascii: "{") else { return false }
        skipSpace(line)
        return position == line.count
    }

    // MARK: Values

    private mutating func value(_ line: UnsafeBufferPointer<UInt8>, hash: UInt64, path: Int, depth: Int) -> Bool {
        guard position < line.count, depth < Self.deepest else { return false }
        switch line[position] {
        case UInt8(ascii: "{"): return object(line, hash: hash, path: path, depth: depth)
        case UInt8(ascii: "["): return list(line, hash: hash, path: path, depth: depth)
        case UInt8(ascii: "\""):
            guard let text = string(line) else { return false }
            texts.append((path, text))
            return true
        case UInt8(ascii: "n"): return word("null", line, .nan, path)
        case UInt8(ascii: "t"): return word("true", line, 1, path)
        case UInt8(ascii: "f"): return word("false", line, 0, path)
        default:
            guard let number = decimal(line) else { return false }
            numbers.append((path, number))
            return true
        }
    }

    private mutating func object(_ line: UnsafeBufferPointer<UInt8>, hash: UInt64, path: Int, depth: Int) -> Bool {
        position += 1
        skipSpace(line)
        if take(UInt8(ascii: "}"), line) { return true }
        repeat {
            skipSpace(line)
            guard take(UInt8(ascii: "\""), line) else { return false }
            let start = position
            var key = hash
            if depth > 0 { Self.mix(&key, UInt8(ascii: ".")) }
            while position < line.count, line[position] != UInt8(ascii: "\"") {
                if line[position] == UInt8(ascii: "\\") { position += 1 }
                if position < line.count { Self.mix(&key, line[position]) }
                position += 1
            }
            guard position < line.count else { return false }
            let bytes = UnsafeBufferPointer(rebasing: line[start..<position])
            position += 1
            skipSpace(line)
            guard take(UInt8(ascii: ":"), line) else { return false }
            skipSpace(line)
            let parent = path < 0 ? "" : names[path] + "."
            let number = intern(key) { parent + String(decoding: bytes, as: UTF8.self) }
            guard value(line, hash: key, path: number, depth: depth + 1) else { return false }
            skipSpace(line)
        } while take(UInt8(ascii: ","), line)
        return take(UInt8(ascii: "}"), line)
    }

    private mutating func list(_ line: UnsafeBufferPointer<UInt8>, hash: UInt64, path: Int, depth: Int) -> Bool {
        position += 1
        skipSpace(line)
        if take(UInt8(ascii: "]"), line) { return true }
        var index = 0
        repeat {
            skipSpace(line)
            var key = hash
            let name = ".\(index)"
            for byte in name.utf8 { Self.mix(&key, byte) }
            let parent = path < 0 ? "" : names[path]
            guard value(line, hash: key, path: intern(key) { parent + name }, depth: depth + 1) else { return false }
            skipSpace(line)
            index += 1
        } while take(UInt8(ascii: ","), line)
        return take(UInt8(ascii: "]"), line)
    }

    private mutating func word(_ word: StaticString, _ line: UnsafeBufferPointer<UInt8>, _ value: Double, _ path: Int) -> Bool {
        let count = word.utf8CodeUnitCount
        guard position + count <= line.count, memcmp(line.baseAddress! + position, word.utf8Start, count) == 0 else { return false }
        position += count
        numbers.append((path, value))
        return true
    }

    /// A number with up to 19 significant digits; the last of a double's bits may be off by one, which no picture shows.
    private mutating func decimal(_ line: UnsafeBufferPointer<UInt8>) -> Double? {
        let isNegative = take(UInt8(ascii: "-"), line)
        var (mantissa, digits, exponent, isFraction, any) = (UInt64(0), 0, 0, false, false)
        scan: while position < line.count {
            let byte = line[position]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                any = true
                if digits < 18 {
                    mantissa = mantissa * 10 + UInt64(byte - UInt8(ascii: "0"))
                    if mantissa > 0 { digits += 1 }
                    if isFraction { exponent -= 1 }
                } else if !isFraction {
                    exponent += 1
                }
            case UInt8(ascii: "."):
                if isFraction { return nil }
                isFraction = true
            default: break scan
            }
            position += 1
        }
        guard any else { return nil }
        if take(UInt8(ascii: "e"), line) || take(UInt8(ascii: "E"), line) {
            let isSmall = take(UInt8(ascii: "-"), line)
            if !isSmall { _ = take(UInt8(ascii: "+"), line) }
            var power = 0
            let start = position
            while position < line.count, case let byte = line[position], byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                power = min(power * 10 + Int(byte - UInt8(ascii: "0")), 10_000)
                position += 1
            }
            guard position > start else { return nil }
            exponent += isSmall ? -power : power
        }
        // Two exact factors keep the usual numbers exact, and a power out of range becomes 0 or infinity.
        var value = Double(mantissa)
        if exponent < 0 {
            value = exponent >= -22 ? value / Self.powers[-exponent] : value * pow(10, Double(exponent))
        } else if exponent > 0 {
            value = exponent <= 22 ? value * Self.powers[exponent] : value * pow(10, Double(exponent))
        }
        return isNegative ? -value : value
    }

    private static let powers: [Double] = (0...22).map { pow(10, Double($0)) }

    private mutating func string(_ line: UnsafeBufferPointer<UInt8>) -> String? {
        position += 1
        var bytes: [UInt8] = []
        while position < line.count {
            let byte = line[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard position < line.count else { return nil }
                let escaped = line[position]
                position += 1
                switch escaped {
                case UInt8(ascii: "n"): bytes.append(10)
                case UInt8(ascii: "t"): bytes.append(9)
                case UInt8(ascii: "r"), UInt8(ascii: "b"), UInt8(ascii: "f"): bytes.append(32)
                case UInt8(ascii: "u"):
                    guard position + 4 <= line.count else { return nil }
                    let digits = String(decoding: line[position..<position + 4], as: UTF8.self)
                    guard let code = UInt32(digits, radix: 16) else { return nil }
                    position += 4
                    bytes += Array(String(Character(Unicode.Scalar(code) ?? "\u{FFFD}")).utf8)
                default: bytes.append(escaped)
                }
            default: bytes.append(byte)
            }
        }
        return nil
    }

    // MARK: Bytes and names

    private mutating func intern(_ hash: UInt64, _ name: () -> String) -> Int {
        if let known = numbersOfHashes[hash] { return known }
        names.append(name())
        numbersOfHashes[hash] = names.count - 1
        return names.count - 1
    }

    private static func mix(_ hash: inout UInt64, _ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }

    private mutating func take(_ byte: UInt8, _ line: UnsafeBufferPointer<UInt8>) -> Bool {
        guard position < line.count, line[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace(_ line: UnsafeBufferPointer<UInt8>) {
        while position < line.count, line[position] == 32 || line[position] == 9 || line[position] == 13 { position += 1 }
    }
}
