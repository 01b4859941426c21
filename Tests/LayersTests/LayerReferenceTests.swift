import Layers
import TestSupport
import Testing

/// Docs/networks.md has the layers that the program has.
@Suite struct LayerReferenceTests {
    private static var table: String {
        DocumentedTable.head(["kind", "members (defaults)", "output", "example"])
            + LayerCatalog.summaries.map { layer in
                DocumentedTable.row(["`\(layer.kind)`", layer.membersText, layer.result, layer.example.map { "`\($0)`" } ?? ""])
            }.joined()
    }

    @Test func theTableOfLayersIsThatOfTheProgram() throws {
        #expect(try DocumentedTable.holds("Docs/networks.md", "layers", Self.table), "\(DocumentedTable.hint)")
    }
}
