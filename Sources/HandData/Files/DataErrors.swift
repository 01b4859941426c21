import Glibc
import System

/// What is wrong with a data set or a file as a whole, in one line that says what, where and what to do.
package struct DataError: Error, CustomStringConvertible, Equatable {
    package let description: String

    package init(_ description: String) { self.description = description }

    /// `action path: reason of errno`, with an optional hint.
    init(_ action: String, _ path: String, errno code: Int32, hint: String? = nil) {
        let reason = String(cString: strerror(code))
        description = "\(action) \(printable(path)): \(reason)" + (hint.map { "; hint: \($0)" } ?? "")
    }
}

/// One sample that cannot be used: where it is listed, which file it names, and why.
package struct BadSample: Error, CustomStringConvertible, Equatable, Sendable {
    /// The frame's file, or "" where the label line does not yield one.
    package let path: String
    /// The label file that lists the sample.
    package let labelFile: String
    /// Its line there, counted from 1.
    package let line: Int
    /// Its index in the source that lists it, or nil where the label line does not yield a sample.
    package let index: Int?
    package let reason: String
    /// Whether it may be read later: the file server, or a shortage, is to blame, not the frame.
    package let mayPass: Bool

    package init(path: String, labelFile: String, line: Int, index: Int? = nil, reason: String, mayPass: Bool = false) {
        self.mayPass = mayPass
        self.path = path
        self.labelFile = labelFile
        self.line = line
        self.index = index
        self.reason = reason
    }

    package var description: String {
        let place = "\(printable(labelFile)):\(line)"
        return path.isEmpty ? "\(place): \(reason)" : "\(place): \(printable(path)): \(reason)"
    }

    /// What to do about it.
    package var hint: String {
        mayPass
            ? "look at the file server, disk, memory or limits of this node, and go on with --resume auto; the frame may be whole"
            : "repair the frame (--check-data lists all such), or leave such frames out with --on-bad-sample skip"
    }
}

/// `text` with control characters escaped, so that a name read from a file can neither break a message's line
/// nor steer a terminal.
package func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }) else {
        return text
    }
    return String(
        text.unicodeScalars.map { scalar in
            scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
                ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }.joined())
}

/// The start of a field of a file, for messages: at most 24 bytes, printable.
func excerpt(_ bytes: some Collection<UInt8>) -> String {
    let text = String(decoding: bytes.prefix(24), as: UTF8.self)
    return "'\(printable(text))\(bytes.count > 24 ? "..." : "")'"
}

/// `ThreadGroup`, with this module's error.
func startThreads(count: Int, _ body: @escaping @Sendable (Int) -> Void) throws(DataError) -> ThreadGroup {
    do {
        return try ThreadGroup(count: count, body: body)
    } catch {
        throw DataError(error.description)
    }
}
