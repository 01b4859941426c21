import Memory
import Testing

@Suite("Parameter table")
struct ParameterTableTests {
    private static let table = ParameterTable([
        ParameterDeclaration("conv1.weight", [5, 5, 1, 8]),
        ParameterDeclaration("conv1.bias", [8]),
        ParameterDeclaration("fc1.weight", [31, 7], isTiled: true),
        ParameterDeclaration("fc1.bias", [7]),
        ParameterDeclaration("fc2.weight", [7, 48], isTiled: true),
        ParameterDeclaration("fc2.bias", [48]),
    ])

    @Test("keeps the order of declaration, with names and shapes")
    func order() {
        #expect(
            Self.table.parameters.map(\.name)
                == ["conv1.weight", "conv1.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"])
        #expect(Self.table["fc1.weight"].shape == [31, 7])
        #expect(Self.table["fc1.weight"].rowLength == 7)
        #expect(Self.table["fc1.weight"].count == 217)
        #expect(Self.table["fc1.bias"].rowLength == 1)
        #expect(Self.table["conv1.weight"].rowLength == 40)
    }

    @Test("places those held whole first, each on a cache line, none over another")
    func layout() {
        let table = Self.table
        #expect(table["conv1.weight"].range == 0..<200)
        #expect(table["conv1.bias"].range == 208..<216)
        #expect(table["fc1.bias"].range == 224..<231)
        #expect(table["fc2.bias"].range == 240..<288)
        #expect(table.smallCount == 288)
        #expect(table["fc1.weight"].range == 288..<505)
        #expect(table["fc2.weight"].range == 512..<848)
        #expect(table.count == 848)
        #expect(table.valueCount == 200 + 8 + 217 + 7 + 336 + 48)
    }

    @Test("without tiled parameters all is small; without any nothing is")
    func edges() {
        let whole = ParameterTable([ParameterDeclaration("a", [3]), ParameterDeclaration("b", [2, 2])])
        #expect(whole.smallCount == 32 && whole.count == 32)
        let none = ParameterTable([])
        #expect(none.count == 0 && none.smallCount == 0 && none.valueCount == 0)
    }
}
