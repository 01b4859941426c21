import Layers
import Networks
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

    /// As `Scripts/export/layer_files.py` writes it.
    @Test(arguments: LayerCatalog.summaries.filter { $0.example != nil }.map(\.kind)) func theExampleIsPartOfANetwork(kind: String) throws {
        let example = try #require(LayerCatalog.summaries.first { $0.kind == kind }?.example)
        let before = "{convolution: {channels: 64, kernel: 5, stride: 2}}, max-pooling"
        let network = try NetworkFile.parse("input: 64\nlayers: [\(before), \(example), {dense: {units: 48, name: outputs}}]\n", path: kind)
        #expect(network.layers.contains { type(of: $0.layer).kind == kind })
    }

    @Test func onlyWhatStandsAtTheStartHasNoExample() {
        #expect(LayerCatalog.summaries.filter { $0.example == nil }.map(\.kind) == ["window-stem"])
    }
}
