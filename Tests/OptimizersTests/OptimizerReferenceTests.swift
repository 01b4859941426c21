import Optimizers
import TestSupport
import Testing

/// The documents have the optimisers that the program has.
@Suite struct OptimizerReferenceTests {
    private static var forms: String {
        DocumentedTable.head(["`--optimizer`", "form", "own flags"])
            + OptimizerKind.allCases.map { kind in
                DocumentedTable.row(
                    ["`\(kind.rawValue)`", kind.type.form, kind.type.flags.map { "`\($0)`" }.joined(separator: ", ")])
            }.joined()
    }

    private static var states: String {
        DocumentedTable.head(["`--optimizer`", "state of each parameter"])
            + OptimizerKind.allCases.map { kind in
                let names = OptimizerConfiguration(kind: kind).stateNames.map { "`.\($0)`" }.joined(separator: ", ")
                return DocumentedTable.row(["`\(kind.rawValue)`", "\(names): \(kind.type.stateMeaning)"])
            }.joined()
    }

    @Test func theTableOfOptimizersIsThatOfTheProgram() throws {
        #expect(try DocumentedTable.holds("Docs/training.md", "optimizers", Self.forms), "\(DocumentedTable.hint)")
    }

    @Test func theTableOfStateIsThatOfTheProgram() throws {
        #expect(try DocumentedTable.holds("Docs/checkpoints.md", "states", Self.states), "\(DocumentedTable.hint)")
    }
}
