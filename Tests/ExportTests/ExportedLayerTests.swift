import Export
import Layers
import Testing

@Suite struct ExportedLayerTests {
    @Test func everyKindOfLayerCanBeExported() {
        #expect(ModelExport.kinds == LayerCatalog.kinds)
    }
}
