package import Foundation

/// A table in a document that is what the program says, between two comments:
///
///     <!-- NAME: written by DTRAIN_UPDATE_SNAPSHOTS=1 ... -->
///     | ... |
///     <!-- end of NAME -->
package struct DocumentedTable {
    /// Whether tests write tables and snapshots anew in place of comparing them.
    package static let isUpdating = ProcessInfo.processInfo.environment["DTRAIN_UPDATE_SNAPSHOTS"] == "1"

    package static let hint = "look at the difference; if it is meant: DTRAIN_UPDATE_SNAPSHOTS=1 swift test -c release --filter ReferenceTests"

    /// A file of the project by its path from the root.
    package static func file(_ path: String) -> URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent(path)
    }

    /// What keeps a text from looking like columns of the table.
    package static func cell(_ text: String) -> String { text.replacingOccurrences(of: "|", with: "\\|") }

    /// A row of a table.
    package static func row(_ cells: [String]) -> String { "| \(cells.map(cell).joined(separator: " | ")) |\n" }

    /// The heading of a table.
    package static func head(_ titles: [String]) -> String {
        "| \(titles.joined(separator: " | ")) |\n|\(String(repeating: "---|", count: titles.count))\n"
    }

    /// Whether the document has this table; where tables are written anew, writes it there.
    /// - Throws: when the document cannot be read, or has no such comments.
    package static func holds(_ path: String, _ name: String, _ table: String) throws -> Bool {
        var isSame = false
        try edit(path) { text in
            guard let begin = text.range(of: "<!-- \(name): "), let start = text.range(of: "\n", range: begin.upperBound..<text.endIndex),
                let stop = text.range(of: "<!-- end of \(name) -->", range: start.upperBound..<text.endIndex)
            else { throw CocoaError(.fileReadCorruptFile, userInfo: [NSFilePathErrorKey: "\(path): no comments '\(name)'"]) }
            let place = start.upperBound..<stop.lowerBound
            isSame = isUpdating || text[place] == table
            return text.replacingCharacters(in: place, with: table)
        }
        return isSame
    }

    /// Tests run beside each other, and a document may have several tables.
    private static let lock = NSLock()

    /// Gives a document's text to `change`, and where tables are written anew writes what it returns.
    package static func edit(_ path: String, _ change: (String) throws -> String) throws {
        try lock.withLock {
            let file = file(path)
            let text = try change(try String(contentsOf: file, encoding: .utf8))
            if isUpdating { try text.write(to: file, atomically: true, encoding: .utf8) }
        }
    }
}
