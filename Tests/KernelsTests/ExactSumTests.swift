import Kernels
import Testing
import TestOracle

@Suite("Exact sums")
struct ExactSumTests {
    @Test("slices of a sum, added up over 64 ranks in any order, give the sum of the sums")
    func slices() {
        var values = TestValues(seed: 5)
        for _ in 0..<200 {
            // Multiples of the unit whose sum stays below 2^19.
            let sums = (0..<64).map { _ in ((Double(values.next() >> 11) * 0x1p-40 - 0x1p12) / ExactSum.unit).rounded() * ExactSum.unit }
            let expected = sums.reduce(0, +)
            for order in [sums, sums.reversed(), sums.sorted()] {
                var total: (Float, Float, Float) = (0, 0, 0)
                for sum in order {
                    let cut = ExactSum.cut(sum)
                    #expect(ExactSum.join(cut.0, cut.1, cut.2) == sum)
                    total = (total.0 + cut.0, total.1 + cut.1, total.2 + cut.2)
                }
                #expect(ExactSum.join(total.0, total.1, total.2) == expected)
            }
        }
    }

    @Test("NaN and numbers out of range stay what they are")
    func extremes() {
        let nan = ExactSum.cut(.nan)
        #expect(ExactSum.join(nan.0, nan.1, nan.2).isNaN)
        let large = ExactSum.cut(1e30)
        #expect(abs(ExactSum.join(large.0, large.1, large.2) - 1e30) <= 1e30 * 0x1p-47)
    }

    @Test("a scale is a power of two that brings the peak to between 1/2 and 1")
    func scale() {
        for peak: Float in [1e-30, 0.3, 0.5, 1, 1.999, 2, 1500, 3.2e8, 1e37] {
            let scaled = peak * ExactSum.scale(peak: peak)
            #expect(scaled >= 0.5 && scaled < 1, "\(peak)")
            #expect(ExactSum.scale(peak: peak).significand == 1)
        }
        for peak: Float in [0, .infinity, .nan] { #expect(ExactSum.scale(peak: peak) == 1) }
        for peak in [Float.leastNonzeroMagnitude, .greatestFiniteMagnitude] {
            #expect(ExactSum.scale(peak: peak).isNormal && (1 / ExactSum.scale(peak: peak)).isNormal)
        }
    }
}
