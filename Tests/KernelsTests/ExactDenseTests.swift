import Kernels
import Testing
import TestOracle

@Suite("Exact dense products")
struct ExactDenseTests {
    static let sets = InstructionSet.allCases.filter(\.isAvailable)

    /// Blocks of 32 rows in floats, in order; what they give is rounded to multiples of 2^-34 and added in Double.
    private func plain(x: [Float], w: [Float], samples: Int, rows: Int, outputs: Int, columns: Range<Int>) -> [Double] {
        let padded = ExactDense.paddedOutputs(outputs)
        var sums = [Double](repeating: 0, count: samples * padded)
        for sample in 0..<samples {
            for column in columns {
                for first in stride(from: 0, to: rows, by: ExactDense.blockRows) {
                    var sum: Float = 0
                    for k in first..<min(rows, first + ExactDense.blockRows) {
                        sum.addProduct(x[sample * rows + k], w[k * outputs + column])
                    }
                    sums[sample * padded + column] += (Double(sum) / ExactSum.unit).rounded(.toNearestOrEven) * ExactSum.unit
                }
            }
        }
        return sums
    }

    @Test(
        "have the bits of the definition, for any number of samples, rows and columns, on every set of kernels",
        arguments: [
            (1, 1, 1), (1, 64, 64), (1, 70, 130), (1, 37, 1_100), (2, 33, 48), (3, 100, 7), (5, 96, 20), (6, 32, 8), (7, 70, 130), (12, 64, 24),
            (13, 40, 72),
            (25, 31, 100), (64, 65, 33),
        ], sets)
    func definition(shape: (samples: Int, rows: Int, outputs: Int), set: InstructionSet) {
        let (samples, rows, outputs) = shape
        var values = TestValues(seed: 3)
        func random(_ count: Int) -> [Float] { (0..<count).map { _ in Float(Int(values.next() % 2001) - 1000) / 1000 } }
        let (x, w) = (random(samples * rows), random(rows * outputs))
        let padded = ExactDense.paddedOutputs(outputs)
        // All columns at once, and from the ninth on.
        for columns in [0..<outputs, min(8, outputs)..<outputs] {
            var sums = [Double](repeating: 0, count: samples * padded)
            sums.withUnsafeMutableBufferPointer {
                ExactDense.accumulate(
                    x: x, samples: samples, weights: w, rows: rows, outputs: outputs, columns: columns, sums: $0.baseAddress!, set: set)
            }
            let expected = plain(x: x, w: w, samples: samples, rows: rows, outputs: outputs, columns: columns)
            for sample in 0..<samples {
                let row = sample * padded
                #expect(Array(sums[row..<row + outputs]) == Array(expected[row..<row + outputs]), "sample \(sample), columns \(columns)")
            }
        }
    }

    @Test("tell NaN and infinity apart from numbers, and keep them to their samples and columns", arguments: sets)
    func notNumbers(set: InstructionSet) {
        let (samples, rows, outputs) = (14, 40, 40)
        var x = [Float](repeating: 1, count: samples * rows)
        x[13 * rows + 39] = .nan
        var w = [Float](repeating: 0.5, count: rows * outputs)
        w[5 * outputs + 39] = .infinity
        var sums = [Double](repeating: 0, count: samples * outputs)
        sums.withUnsafeMutableBufferPointer {
            ExactDense.accumulate(
                x: x, samples: samples, weights: w, rows: rows, outputs: outputs, columns: 0..<outputs, sums: $0.baseAddress!, set: set)
        }
        for sample in 0..<samples {
            for column in 0..<outputs {
                let sum = sums[sample * outputs + column]
                if sample == 13 {
                    #expect(sum.isNaN)
                } else {
                    #expect(column == 39 ? sum == .infinity : sum == 20)
                }
            }
        }
    }
}
