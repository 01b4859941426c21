/// A value as files write it: what layers are read from and written to, whatever the file's format.
package struct OptionNode: Sendable, Equatable {
    package enum Value: Sendable, Equatable {
        case scalar(String)
        case list([OptionNode])
        case map([Entry])
    }

    package struct Entry: Sendable, Equatable {
        package let name: String
        package let node: OptionNode

        package init(_ name: String, _ node: OptionNode) {
            self.name = name
            self.node = node
        }
    }

    package let value: Value
    /// Where it stands, from 1; nil where it was not read from a file. Of no weight in comparisons.
    package let line: Int?

    package init(_ value: Value, line: Int? = nil) {
        self.value = value
        self.line = line
    }

    package static func scalar(_ text: String) -> OptionNode { OptionNode(.scalar(text)) }
    package static func list(_ nodes: [OptionNode]) -> OptionNode { OptionNode(.list(nodes)) }
    package static func map(_ entries: [(String, OptionNode)]) -> OptionNode {
        OptionNode(.map(entries.map { Entry($0.0, $0.1) }))
    }

    /// Without layers' members that say what parameters begin with, whose names begin with `initial`: once training has begun they
    /// have no effect.
    package var withoutInitialValues: OptionNode {
        switch value {
        case .scalar: return self
        case .list(let nodes): return .list(nodes.map(\.withoutInitialValues))
        case .map(let entries):
            let kept = entries.filter { !$0.name.hasPrefix("initial") }.map { Entry($0.name, $0.node.withoutInitialValues) }
            // A layer that has no members left is its kind alone.
            if kept.count == 1, kept[0].node.value == .map([]) { return .scalar(kept[0].name) }
            return OptionNode(.map(kept))
        }
    }

    package static func == (one: OptionNode, other: OptionNode) -> Bool { one.value == other.value }
}

/// What is wrong with a value, and where.
package struct OptionError: Error, CustomStringConvertible, Equatable {
    /// From the outermost layer to the one that is meant; empty where it is about none.
    package let path: [String]
    package let message: String
    package let line: Int?

    package init(_ message: String, path: [String] = [], line: Int? = nil) {
        self.path = path
        self.message = message
        self.line = line
    }

    package var description: String { path.isEmpty ? message : "layer \(path.joined(separator: ".")): \(message)" }

    /// The same, met inside a layer or a list of layers.
    func inside(_ name: String, line: Int?) -> OptionError {
        OptionError(message, path: name.isEmpty ? path : [name] + path, line: self.line ?? line)
    }
}

extension OptionNode: Codable {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package init(from decoder: any Decoder) throws {
        if let map = try? decoder.container(keyedBy: Key.self) {
            self.init(
                .map(
                    try map.allKeys.map { Entry($0.stringValue, try map.decode(OptionNode.self, forKey: $0)) }
                        .sorted { $0.name < $1.name }))
        } else if var list = try? decoder.unkeyedContainer() {
            var nodes: [OptionNode] = []
            while !list.isAtEnd { nodes.append(try list.decode(OptionNode.self)) }
            self.init(.list(nodes))
        } else {
            self.init(.scalar(try decoder.singleValueContainer().decode(String.self)))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        switch value {
        case .scalar(let text):
            var container = encoder.singleValueContainer()
            try container.encode(text)
        case .list(let nodes):
            var container = encoder.unkeyedContainer()
            for node in nodes { try container.encode(node) }
        case .map(let entries):
            var container = encoder.container(keyedBy: Key.self)
            for entry in entries { try container.encode(entry.node, forKey: Key(stringValue: entry.name)) }
        }
    }
}
