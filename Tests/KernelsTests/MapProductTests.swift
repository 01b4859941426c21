import Kernels
import Testing
import TestOracle

@Suite("Products of maps")
struct MapProductTests {
    static let sets = InstructionSet.allCases.filter(\.isAvailable)
    /// Positions, inputs, outputs; floats between rows.
    static let shapes = [
        (1, 1, 1, 0), (5, 3, 7, 2), (16, 16, 128, 0), (17, 16, 24, 16), (40, 128, 16, 5), (13, 21, 100, 1), (576, 16, 33, 3),
    ]

    /// Floats of few digits: sums of products are exact, in any order.
    private func values(_ count: Int, seed: UInt64) -> [Float] {
        var values = TestValues(seed: seed)
        return values.dyadic(count, bound: 15, unit: 0.25).floats
    }

    @Test("x · w, alone and added, in rows that lie apart; what lies between stays", arguments: shapes, sets)
    func multiply(shape: (positions: Int, inputs: Int, outputs: Int, gap: Int), set: InstructionSet) {
        let (positions, inputs, outputs, gap) = shape
        let (xStep, wStep, yStep) = (inputs + gap, outputs + gap, outputs + gap)
        let x = values(positions * xStep, seed: 1)
        let w = values(inputs * wStep, seed: 2) + [Float](repeating: .nan, count: MapProduct.slack)
        let before = values(positions * yStep, seed: 3)
        for accumulating in [false, true] {
            var (y, expected) = (before, before.doubles)
            for position in 0..<positions {
                for output in 0..<outputs {
                    let sum = (0..<inputs).reduce(0) { $0 + Double(x[position * xStep + $1]) * Double(w[$1 * wStep + output]) }
                    let place = position * yStep + output
                    expected[place] = sum + (accumulating ? expected[place] : 0)
                }
            }
            y.withUnsafeMutableBufferPointer {
                MapProduct.multiply(
                    x: x, xStep: xStep, w: w, wStep: wStep, positions: positions, inputs: inputs, outputs: outputs,
                    y: $0.baseAddress!, yStep: yStep, accumulating: accumulating, set: set)
            }
            #expect(mismatch(y, expected) == nil)
        }
    }

    @Test("x^T · y over the positions", arguments: shapes, sets)
    func reduce(shape: (positions: Int, rows: Int, columns: Int, gap: Int), set: InstructionSet) {
        let (positions, rows, columns, gap) = shape
        let (xStep, yStep) = (rows + gap, columns + gap)
        let (x, y) = (values(positions * xStep, seed: 4), values(positions * yStep, seed: 5))
        var sums = [Float](repeating: .nan, count: rows * columns)
        sums.withUnsafeMutableBufferPointer {
            MapProduct.reduce(
                x: x, xStep: xStep, y: y, yStep: yStep, positions: positions, rows: rows, columns: columns, sums: $0.baseAddress!,
                set: set)
        }
        let expected = (0..<rows * columns).map { place in
            (0..<positions).reduce(0) { $0 + Double(x[$1 * xStep + place / columns]) * Double(y[$1 * yStep + place % columns]) }
        }
        #expect(mismatch(sums, expected) == nil)
    }
}
