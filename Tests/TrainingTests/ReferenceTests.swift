import Foundation
import TestSupport
import Testing
import Training

/// The documents' tables of flags are what the table of settings says. `DTRAIN_UPDATE_SNAPSHOTS=1 swift test` writes them anew.
struct ReferenceTests {
    private static let comment: Comment = "\(DocumentedTable.hint)"

    private static func cell(_ text: String) -> String { DocumentedTable.cell(text) }

    /// Flags within a sentence as code.
    private static func sentence(_ text: String) -> String { cell(text).replacing(/--[a-z0-9-]+[a-z0-9]/) { "`\($0.output)`" } }

    private static func values(_ setting: Setting) -> String {
        switch setting.kind {
        case .choice: setting.choices.map { "`\($0)`" }.joined(separator: ", ")
        case .integer where setting.placeholder != "n" && !setting.placeholder.contains("|"): "\(setting.placeholder), \(setting.valuesText)"
        default: setting.valuesText
        }
    }

    static var table: String {
        var lines = ["| flag | values | default | meaning |", "|---|---|---|---|"]
        for section in Settings.sections {
            let title = section.title.prefix(1) + section.title.dropFirst().lowercased()
            lines.append("| **\(title)** | | | |")
            for setting in section.settings {
                let fallback = setting.kind == .flag ? "off" : setting.defaults ?? "none"
                lines.append("| `--\(setting.name)` | \(cell(values(setting))) | \(cell(fallback)) | \(sentence(setting.help)) |")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    @Test func theTableOfFlagsIsThatOfTheProgram() throws {
        #expect(try DocumentedTable.holds("Docs/reference.md", "flags", Self.table), Self.comment)
    }

    /// `Docs/checkpoints.md` tells what may change on resuming: what must not, what may by `--allow-change`, and by hand the rest.
    @Test func whatMayChangeOnResumingIsThatOfTheProgram() throws {
        let fixed = Settings.all.filter { $0.resuming == .fixed }.map { "`--\($0.name)`" }
        let changeable = Settings.changeable.map { "`\($0)`" }.joined(separator: ", ")
        try DocumentedTable.edit("Docs/checkpoints.md") { text in
            var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            let head = try #require(lines.firstIndex { $0.hasPrefix("| must be the same | may change with `--allow-change") })
            let columns = lines[head + 2].split(separator: "|")
            let line =
                "| image size, \(fixed.joined(separator: ", ")) | \(changeable) (`data`: number of the training samples, fingerprint of "
                + "names and labels) |\(columns.last ?? "")|"
            #expect(lines[head + 2] == line || DocumentedTable.isUpdating, Self.comment)
            lines[head + 2] = line
            return lines.joined(separator: "\n")
        }
    }
}
