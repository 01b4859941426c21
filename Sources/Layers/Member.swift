/// One member of a layer's description: how a file names it, how it is read, how it is written. A layer lists its members
/// once, and reading, writing, checks and error texts follow.
package struct Member<Owner> {
    package let name: String
    /// All values, where they are few.
    package let choices: [String]
    /// Reads the node into the owner.
    let read: (inout Owner, OptionNode) throws(OptionError) -> Void
    /// The member's value.
    package let write: (Owner) -> OptionNode

    private init(
        _ name: String, choices: [String] = [], read: @escaping (inout Owner, OptionNode) throws(OptionError) -> Void,
        write: @escaping (Owner) -> OptionNode
    ) {
        self.name = name
        self.choices = choices
        self.read = read
        self.write = write
    }

    /// A whole number in `range`.
    package static func integer(
        _ name: String, _ path: WritableKeyPath<Owner, Int>, _ range: ClosedRange<Int> = 1...1_000_000
    ) -> Member {
        Member(
            name,
            read: { owner, node throws(OptionError) in
                guard let text = node.text, let value = Int(text), range.contains(value) else {
                    throw node.refused(name, "a whole number from \(range.lowerBound) to \(range.upperBound)")
                }
                owner[keyPath: path] = value
            }, write: { .scalar("\($0[keyPath: path])") })
    }

    /// Whole numbers in `range`.
    package static func integers(
        _ name: String, _ path: WritableKeyPath<Owner, [Int]>, _ range: ClosedRange<Int> = 0...1_000_000
    ) -> Member {
        Member(
            name,
            read: { owner, node throws(OptionError) in
                guard case .list(let nodes) = node.value else {
                    throw node.refused(name, "a list of whole numbers, such as [0, 16]")
                }
                var values: [Int] = []
                for entry in nodes {
                    guard let text = entry.text, let value = Int(text), range.contains(value) else {
                        throw entry.refused(name, "whole numbers from \(range.lowerBound) to \(range.upperBound)")
                    }
                    values.append(value)
                }
                owner[keyPath: path] = values
            }, write: { .list($0[keyPath: path].map { .scalar("\($0)") }) })
    }

    /// A finite number in `range`.
    package static func number(
        _ name: String, _ path: WritableKeyPath<Owner, Double>, _ range: ClosedRange<Double>
    ) -> Member {
        Member(
            name,
            read: { owner, node throws(OptionError) in
                guard let text = node.text, let value = Double(text), range.contains(value) else {
                    throw node.refused(name, "a number from \(range.lowerBound) to \(range.upperBound)")
                }
                owner[keyPath: path] = value
            }, write: { .scalar("\($0[keyPath: path])") })
    }

    /// true or false.
    package static func flag(_ name: String, _ path: WritableKeyPath<Owner, Bool>) -> Member {
        Member(
            name,
            read: { owner, node throws(OptionError) in
                guard let value = node.text.flatMap(Bool.init) else { throw node.refused(name, "true or false") }
                owner[keyPath: path] = value
            }, write: { .scalar("\($0[keyPath: path])") })
    }

    /// One of a type's cases, by its name.
    package static func choice<Value: RawRepresentable & CaseIterable>(
        _ name: String, _ path: WritableKeyPath<Owner, Value>
    ) -> Member where Value.RawValue == String {
        Member(
            name, choices: Value.allCases.map(\.rawValue),
            read: { owner, node throws(OptionError) in
                guard let value = node.text.flatMap(Value.init(rawValue:)) else {
                    throw node.refused(name, Value.allCases.map(\.rawValue).joined(separator: ", "))
                }
                owner[keyPath: path] = value
            }, write: { .scalar($0[keyPath: path].rawValue) })
    }

    /// A value with a text form of its own.
    package static func text<Value>(
        _ name: String, _ path: WritableKeyPath<Owner, Value>, _ wanted: String, read: @escaping (String) -> Value?,
        write: @escaping (Value) -> String
    ) -> Member {
        Member(
            name,
            read: { owner, node throws(OptionError) in
                guard let value = node.text.flatMap(read) else { throw node.refused(name, wanted) }
                owner[keyPath: path] = value
            }, write: { .scalar(write($0[keyPath: path])) })
    }

    /// Layers, one after the other.
    package static func layers(_ name: String, _ path: WritableKeyPath<Owner, [LayerNode]>) -> Member {
        Member(
            name,
            read: { owner, node throws(OptionError) in
                do throws(OptionError) {
                    owner[keyPath: path] = try LayerNode.list(node)
                } catch {
                    // A layer's own list needs no name of its own.
                    throw name == "layers" ? error : error.inside(name, line: node.line)
                }
            },
            write: { LayerNode.node(of: $0[keyPath: path]) })
    }

    /// Several lists of layers.
    package static func branches(_ name: String, _ path: WritableKeyPath<Owner, [[LayerNode]]>) -> Member {
        Member(
            name,
            read: { owner, node throws(OptionError) in
                guard case .list(let nodes) = node.value else {
                    throw node.refused(name, "a list of lists of layers")
                }
                var branches: [[LayerNode]] = []
                for (number, entry) in nodes.enumerated() {
                    do throws(OptionError) {
                        branches.append(try LayerNode.list(entry))
                    } catch {
                        throw error.inside(Branches.name(number), line: entry.line)
                    }
                }
                owner[keyPath: path] = branches
            }, write: { .list($0[keyPath: path].map(LayerNode.node)) })
    }
}

extension Array {
    /// Reads members of `owner` from a mapping, or the first member from a bare value; those that are not there stay as they are.
    /// - Parameters:
    ///   - kind: what has these members, for messages.
    ///   - others: entries that are read elsewhere.
    /// - Throws: `OptionError` for an unknown member or a value that is none.
    package func read<Owner>(
        _ node: OptionNode?, into owner: inout Owner, of kind: String, besides others: [String] = []
    ) throws(OptionError) where Element == Member<Owner> {
        guard let node else { return }
        switch node.value {
        case .map(let entries):
            for entry in entries where !others.contains(entry.name) {
                guard let member = first(where: { $0.name == entry.name }) else {
                    let known = isEmpty ? "it has no members" : map(\.name).joined(separator: ", ")
                    throw OptionError("\(kind) has no '\(entry.name)'; hint: \(known)", line: entry.node.line ?? node.line)
                }
                try member.read(&owner, entry.node)
            }
        case .scalar(""): break
        case .scalar, .list:
            guard let first else {
                throw OptionError("\(kind) takes no value, not \(node.summary); hint: '- \(kind)' alone", line: node.line)
            }
            try first.read(&owner, node)
        }
    }

    /// The members of `owner` that are not those of `standard`.
    package func written<Owner>(of owner: Owner, standard: Owner) -> [(String, OptionNode)] where Element == Member<Owner> {
        compactMap { member in
            let node = member.write(owner)
            return node == member.write(standard) ? nil : (member.name, node)
        }
    }
}

extension OptionNode {
    /// What a scalar says.
    package var text: String? { if case .scalar(let text) = value { text } else { nil } }

    /// The node in a few words, for messages.
    package var summary: String {
        switch value {
        case .scalar(let text): "'\(text)'"
        case .list(let nodes): "a list of \(nodes.count)"
        case .map: "a mapping"
        }
    }

    func refused(_ name: String, _ wanted: String) -> OptionError {
        OptionError("'\(name)' is \(summary); hint: \(wanted)", line: line)
    }
}
