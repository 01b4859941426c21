/// The first element that is further from what is expected than its tolerance, or a wrong length, in words; nil when all
/// is well.
///
/// A NaN is never near anything.
package func mismatch(_ actual: [Double], _ expected: [Double], tolerance: [Double]) -> String? {
    guard actual.count == expected.count else { return "\(actual.count) values instead of \(expected.count)" }
    for index in actual.indices where !(abs(actual[index] - expected[index]) <= tolerance[index]) {
        return "element \(index) is \(actual[index]), expected \(expected[index]): off by "
            + "\(abs(actual[index] - expected[index])), tolerance \(tolerance[index])"
    }
    return nil
}

/// The same for Floats.
package func mismatch(_ actual: [Float], _ expected: [Double], tolerance: [Double]) -> String? {
    mismatch(actual.doubles, expected, tolerance: tolerance)
}

/// The same with one tolerance for all elements; 0 asks for equality.
package func mismatch(_ actual: [Float], _ expected: [Double], tolerance: Double = 0) -> String? {
    mismatch(actual.doubles, expected, tolerance: expected.map { _ in tolerance })
}

/// The first element whose bits differ, in words; nil when none does. Two NaNs of the same bits are equal here.
package func bitDifference(_ a: [Float], _ b: [Float]) -> String? {
    guard a.count == b.count else { return "\(a.count) values and \(b.count)" }
    for index in a.indices where a[index].bitPattern != b[index].bitPattern {
        return "element \(index): \(a[index]) and \(b[index])"
    }
    return nil
}
