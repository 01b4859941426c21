import Glibc
import Layers

/// A user's network, read from YAML:
///
///     input: {height: 96, width: 96}
///     layers:
///       - convolution: {channels: 16, kernel: 5, stride: 2, name: conv1}
///       - activation: relu
///       - dense: 48
///     loss: {kind: smooth-l1, sigma: 10}
package enum NetworkFile {
    /// Larger files are no network.
    private static let byteLimit = 1 << 18

    /// Why a file gives no network: one line, with file and line.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// Reads a network whose layers fit.
    package static func read(_ path: String) throws(Failure) -> NetworkDescription {
        try parse(try contents(path), path: path)
    }

    /// - Parameter path: what messages call the text.
    package static func parse(_ text: String, path: String) throws(Failure) -> NetworkDescription {
        let node: OptionNode?
        do {
            node = try YAMLText.read(text)
        } catch {
            throw failure(path, error.line, error.message)
        }
        guard let node else {
            throw failure(path, nil, "holds no network; hint: input: {height: 96, width: 96} and layers: [...]")
        }
        let description: NetworkDescription
        do {
            description = try NetworkDescription(reading: node)
        } catch {
            throw failure(path, error.line, error.description)
        }
        if let problem = description.problem { throw failure(path, problem.line, problem.description) }
        return description
    }

    /// The text of a network, which `read` reads.
    package static func text(_ description: NetworkDescription) -> String { YAMLText.text(description.node) }

    private static func failure(_ path: String, _ line: Int?, _ message: String) -> Failure {
        Failure(description: "\(path)\(line.map { ":\($0)" } ?? ""): \(message)")
    }

    private static func contents(_ path: String) throws(Failure) -> String {
        func unreadable() -> Failure {
            failure(path, nil, "\(String(cString: strerror(errno))); hint: --network names a YAML file")
        }
        guard let file = fopen(path, "r") else { throw unreadable() }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: byteLimit + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0 else { throw unreadable() }
        guard count <= byteLimit, let text = String(validating: bytes[..<count], as: UTF8.self) else {
            throw failure(path, nil, "not a text of at most \(byteLimit >> 10) KiB; hint: --network names a YAML file")
        }
        return text
    }
}
