import Glibc

/// A failed call of the system.
package struct SystemCallFailure: Error {
    package let errno: Int32
}

/// The names in a directory but "." and "..", in no order: `opendir(3)`, `readdir(3)`.
package func directoryNames(_ path: String) throws(SystemCallFailure) -> [String] {
    guard let directory = opendir(path) else { throw SystemCallFailure(errno: errno) }
    defer { closedir(directory) }
    var names: [String] = []
    while true {
        // readdir(3) tells an error from the end by errno alone.
        errno = 0
        guard let entry = readdir(directory) else { break }
        let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
            field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw SystemCallFailure(errno: errno) }
    return names
}
