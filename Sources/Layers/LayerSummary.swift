/// A kind of layer in words: a row of the table that `dtrain describe --layers` prints and Docs/networks.md holds.
package struct LayerSummary: Sendable, Encodable {
    package struct Member: Sendable, Encodable {
        package let name: String
        /// What holds where it is not given; nil: nothing does, or nothing that a word says.
        package let standard: String?
        /// All values, where they are few.
        package let choices: [String]

        /// `padding (same; valid)`.
        package var text: String {
            guard let standard else { return name }
            return "\(name) (\(([standard] + choices.filter { $0 != standard }).joined(separator: "; ")))"
        }
    }

    package let kind: String
    package let members: [Member]
    /// The shape that comes out of (h, w, c).
    package let result: String
    /// What may stand in the list `layers: [...]` of a network file, after a map of 16x16x64; nil: nothing there.
    package let example: String?

    /// All members with their defaults, in one line.
    package var membersText: String { members.map(\.text).joined(separator: ", ") }

    init(_ type: any LayerDescription.Type) {
        (kind, members, result, example) = (type.kind, Self.members(of: type), type.result, type.example)
    }

    private static func members<Description: LayerDescription>(of type: Description.Type) -> [Member] {
        type.members.map { member in
            // Channels and units are 0 by themselves, which no layer can have.
            let standard = member.write(Description()).text.flatMap { $0 == "0" ? nil : $0 }
            return Member(name: member.name, standard: standard, choices: member.choices)
        }
    }
}

extension LayerCatalog {
    /// The table of layers.
    package static var summaries: [LayerSummary] { types.map(LayerSummary.init) }
}
