import Glibc

/// This machine's name, by gethostname(2).
package func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    // A name too long for the buffer is cut; the last byte stays 0.
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
