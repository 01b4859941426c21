import Collectives
import Testing

struct WireFormatTests {
    /// The nearest of the two neighbours that have 16 zero bits at the end, computed in Double.
    private func nearest(_ value: Float) -> Float {
        let low = Float(bitPattern: value.bitPattern & 0xFFFF_0000)
        let high = Float(bitPattern: (value.bitPattern & 0xFFFF_0000) &+ 0x1_0000)
        let (below, above) = (abs(Double(value) - Double(low)), abs(Double(high) - Double(value)))
        if below == above { return low.bitPattern & 0x1_0000 == 0 ? low : high }
        return below < above ? low : high
    }

    private func roundTrip(_ values: [Float]) -> [Float] {
        var result = [Float](repeating: -1, count: values.count)
        var encoded = [UInt16](repeating: 0, count: values.count)
        encoded.withUnsafeMutableBytes { BFloat16.encode(values, count: values.count, into: $0.baseAddress!) }
        #expect(encoded == values.map(BFloat16.bits))
        encoded.withUnsafeBytes { BFloat16.decode($0.baseAddress!, count: values.count, into: &result) }
        return result
    }

    /// Counts that fill no register, one, and some with a rest.
    @Test(arguments: [0, 1, 7, 8, 9, 1000, 4099])
    func roundsToTheNearest(count: Int) {
        var state: UInt64 = 7
        let values = (0..<count).map { _ -> Float in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(bitPattern: UInt32(truncatingIfNeeded: state >> 32) & 0xBFFF_FFFF)
        }
        #expect(roundTrip(values) == values.map(nearest))
    }

    @Test func tiesGoToEven() {
        let ties: [UInt32] = [0x3F80_8000, 0x3F81_8000, 0xBF80_8000, 0xBF81_8000, 0x3F80_8001, 0x3F80_7FFF]
        let rounded: [UInt32] = [0x3F80_0000, 0x3F82_0000, 0xBF80_0000, 0xBF82_0000, 0x3F81_0000, 0x3F80_0000]
        let pattern = (ties + ties).map { Float(bitPattern: $0) }
        #expect(roundTrip(pattern) == (rounded + rounded).map { Float(bitPattern: $0) })
    }

    @Test func specialValues() {
        let values: [Float] = [0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, Float(bitPattern: 1), 65536, -3]
        let result = roundTrip(values + values)
        let expected: [Float] = [0, -0.0, .infinity, -.infinity, .infinity, 0, 65536, -3]
        #expect(result.map(\.bitPattern) == (expected + expected).map(\.bitPattern))
        // NaNs whose upper half alone would be infinity, among them; in registers and after them.
        let nans = [UInt32(0x7F80_0001), 0xFF80_0001, 0x7FC0_0000, 0x7FFF_FFFF].map { Float(bitPattern: $0) }
        #expect(roundTrip(nans + nans + nans).allSatisfy { $0.isNaN })
    }
}
