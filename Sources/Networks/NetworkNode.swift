package import Layers

extension NetworkDescription {
    /// What files name the parts of a network.
    private enum Key: String, CaseIterable { case input, layers, loss }

    private static var inputMembers: [Member<Shape>] {
        [.integer("height", \.height, 1...4096), .integer("width", \.width, 1...4096)]
    }

    /// Reads a network: `input` (height and width, or one number for both), `layers`, and `loss`, which is `mse` if it is not there.
    /// - Throws: `OptionError` with the line of what is wrong. Whether the layers fit is not looked at: see `problem`.
    package init(reading node: OptionNode) throws(OptionError) {
        guard case .map(let entries) = node.value else {
            throw OptionError(
                "\(node.summary) where a network is expected; hint: input: {height: 96, width: 96} and layers: [...]",
                line: node.line)
        }
        var input = Shape(height: 0, width: 0, channels: 1)
        var layers: [LayerNode]?
        var loss = Loss()
        for entry in entries {
            switch Key(rawValue: entry.name) {
            case .input?:
                try Self.inputMembers.read(entry.node, into: &input, of: "input")
                if entry.node.text != nil { input.width = input.height }
            case .layers?: layers = try Array(reading: entry.node)
            case .loss?: loss = try Loss(reading: entry.node)
            case nil:
                let known = Key.allCases.map(\.rawValue).joined(separator: ", ")
                throw OptionError("a network has no '\(entry.name)'; hint: \(known)", line: entry.node.line)
            }
        }
        guard input.height > 0, input.width > 0 else {
            let line = entries.first { $0.name == Key.input.rawValue }?.node.line
            throw OptionError("the size of the input is not given; hint: input: {height: 96, width: 96}", line: line)
        }
        guard let layers else { throw OptionError("there are no layers; hint: layers: [...]") }
        self.init(input: input, layers: layers, loss: loss)
    }

    /// What `init(reading:)` reads.
    package var node: OptionNode {
        let loss = loss.node
        return .map(
            [
                (Key.input.rawValue, .map(Self.inputMembers.map { ($0.name, $0.write(input)) })),
                (Key.layers.rawValue, layers.node),
            ] + (loss.map { [(Key.loss.rawValue, $0)] } ?? []))
    }
}

extension Loss {
    private static var members: [Member<Loss>] {
        [.choice("kind", \.kind), .number("sigma", \.sigma, 1e-3...1e3), .number("delta", \.delta, 1e-6...1e6)]
    }

    /// Reads `mse`, or such as `{kind: smooth-l1, sigma: 10}`.
    init(reading node: OptionNode) throws(OptionError) {
        self.init()
        try Self.members.read(node, into: &self, of: "loss")
        guard case .map(let entries) = node.value else { return }
        for entry in entries {
            let owner: Kind? = ["sigma": .smoothL1, "delta": .huber][entry.name]
            if let owner, owner != kind {
                throw OptionError(
                    "the loss \(kind.rawValue) has no '\(entry.name)'; hint: kind: \(owner.rawValue)", line: entry.node.line)
            }
        }
    }

    /// nil: the default.
    var node: OptionNode? {
        // Only what the kind has.
        var loss = Loss(kind)
        if kind == .smoothL1 { loss.sigma = sigma }
        if kind == .huber { loss.delta = delta }
        let written = Self.members.written(of: loss, standard: Loss())
        return written.isEmpty ? nil : .map(written)
    }
}

/// As what `node` holds: in checkpoints.
extension NetworkDescription: Codable {
    package init(from decoder: any Decoder) throws {
        let node = try OptionNode(from: decoder)
        do {
            try self.init(reading: node)
        } catch {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: decoder.codingPath, debugDescription: error.description))
        }
    }

    package func encode(to encoder: any Encoder) throws { try node.encode(to: encoder) }
}

/// Two networks are the same if they are written alike.
extension NetworkDescription: Equatable {
    package static func == (one: NetworkDescription, other: NetworkDescription) -> Bool { one.node == other.node }
}
