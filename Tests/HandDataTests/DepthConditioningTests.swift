import HandData
import Testing

@Suite struct DepthConditioningTests {
    @Test func everyDepth() {
        let depth = (0...65_535).map { UInt16($0) }
        for conditioning in DepthConditioning.allCases {
            var input = [Float](repeating: .nan, count: depth.count)
            depth.withUnsafeBufferPointer { depth in
                input.withUnsafeMutableBufferPointer { conditioning.apply(depth, to: $0) }
            }
            for (value, number) in zip(depth, input) {
                let expected: Float =
                    switch conditioning {
                    case .raw: Float(value)
                    case .normalized where value == 0 || value >= 1500: 0
                    case .normalized: Float(max((800 - Double(value)) / 400, 0.05))
                    }
                // (800 - d) is exact; the product with the rounded 1/400 is within one unit of the quotient.
                #expect(abs(number - expected) <= expected.ulp, "\(conditioning) of \(value)")
                #expect(conditioning.value(value) == number)
            }
        }
    }
}
