import Testing

/// Steps of Adam from the same gradients, summed in another order.
///
/// A gradient that is a sum of about 100 terms differs by some 10 ulp of the terms' size; Adam divides by the
/// gradient's own size, so where the terms cancel, the difference grows. Hence a bound on the whole: the weights'
/// difference at most 1000 ulp (1.2e-4) of the way they went, in the Euclidean norm.
func expectSameCourse(
    _ result: TinyRun.Result, as reference: TinyRun.Result, sourceLocation: SourceLocation = #_sourceLocation
) {
    let way = distance(reference.weights, reference.initial)
    #expect(way > 0.01, sourceLocation: sourceLocation)
    #expect(result.initial == reference.initial, sourceLocation: sourceLocation)
    #expect(
        distance(result.weights, reference.weights) <= 1000 * Double(Float.ulpOfOne) * way, sourceLocation: sourceLocation)
    for (loss, expected) in zip(result.losses, reference.losses) {
        #expect(abs(loss - expected) <= 100 * Double(Float.ulpOfOne) * expected, sourceLocation: sourceLocation)
    }
}

func distance(_ left: [Float], _ right: [Float]) -> Double {
    zip(left, right).reduce(0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }.squareRoot()
}
