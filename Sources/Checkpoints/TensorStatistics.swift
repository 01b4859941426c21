import Glibc

/// Range, mean, spread and oddities of a tensor, gathered in one pass over pieces of any size.
///
/// Everything but `count`, `zeroCount` and `nonFiniteCount` is over the finite elements. Sums are taken in Double of
/// differences from the first finite element, so that a large mean does not drown a small spread.
package struct TensorStatistics: Sendable {
    /// Elements seen.
    package private(set) var count = 0
    /// Elements that are exactly 0 (or -0).
    package private(set) var zeroCount = 0
    /// Elements that are NaN or infinite.
    package private(set) var nonFiniteCount = 0
    private var minimum = Float.infinity
    private var maximum = -Float.infinity
    private var origin: Float?
    private var sum = 0.0
    private var squareSum = 0.0

    package init() {}

    private var finiteCount: Int { count - nonFiniteCount }

    /// Smallest finite element; nil when there is none.
    package var min: Float? { finiteCount > 0 ? minimum : nil }
    /// Largest finite element.
    package var max: Float? { finiteCount > 0 ? maximum : nil }
    /// Mean of the finite elements.
    package var mean: Double? {
        finiteCount > 0 ? Double(origin ?? 0) + sum / Double(finiteCount) : nil
    }
    /// Standard deviation of the finite elements (divisor n).
    package var standardDeviation: Double? {
        guard finiteCount > 0 else { return nil }
        let offset = sum / Double(finiteCount)
        return Swift.max(0, squareSum / Double(finiteCount) - offset * offset).squareRoot()
    }
    /// Share of elements that are exactly 0; 0 for an empty tensor.
    package var zeroShare: Double { count > 0 ? Double(zeroCount) / Double(count) : 0 }

    /// Takes the next elements.
    package mutating func add(_ values: UnsafeBufferPointer<Float>) {
        guard let start = values.baseAddress, values.count > 0 else { return }
        count += values.count
        if origin == nil { origin = values.first { $0.isFinite } }
        guard let shift = origin else {
            nonFiniteCount += values.count
            return
        }
        var position = 0
        while position + 8 <= values.count {
            // Counts of a block stay far below Int32.max.
            let blockEnd = Swift.min(values.count, position + 1 << 20)
            position = addVectors(start, from: position, to: blockEnd, shift: shift)
        }
        for value in values[position...] { addElement(value, shift: shift) }
    }

    /// Whole vectors of `start[position..<end]`; returns where they end.
    private mutating func addVectors(
        _ start: UnsafePointer<Float>, from first: Int, to end: Int, shift: Float
    ) -> Int {
        typealias Vector = SIMD8<Float>
        var minima = Vector(repeating: minimum)
        var maxima = Vector(repeating: maximum)
        var zeros = SIMD8<Int32>()
        var nonFinite = SIMD8<Int32>()
        var sums = SIMD8<Double>()
        var squareSums = SIMD8<Double>()
        let origin = Vector(repeating: shift)
        let shifts = SIMD8<Double>(origin)
        let one = SIMD8<Int32>(repeating: 1)
        let exponentMask = SIMD8<UInt32>(repeating: 0x7F80_0000)
        var position = first
        while position &+ 8 <= end {
            let values = UnsafeRawPointer(start + position).loadUnaligned(as: Vector.self)
            let isOdd = unsafeBitCast(values, to: SIMD8<UInt32>.self) & exponentMask .== exponentMask
            nonFinite.replace(with: nonFinite &+ one, where: isOdd)
            zeros.replace(with: zeros &+ one, where: values .== Vector())
            // Odd elements become the origin: finite, in range, and without weight in the sums.
            let finite = values.replacing(with: origin, where: isOdd)
            minima.replace(with: finite, where: finite .< minima)
            maxima.replace(with: finite, where: finite .> maxima)
            let differences = SIMD8<Double>(finite) - shifts
            sums += differences
            squareSums += differences * differences
            position &+= 8
        }
        minimum = minima.min()
        maximum = maxima.max()
        zeroCount += Int(zeros.wrappedSum())
        nonFiniteCount += Int(nonFinite.wrappedSum())
        sum += sums.sum()
        squareSum += squareSums.sum()
        return position
    }

    private mutating func addElement(_ value: Float, shift: Float) {
        guard value.isFinite else {
            nonFiniteCount += 1
            return
        }
        if value == 0 { zeroCount += 1 }
        minimum = Swift.min(minimum, value)
        maximum = Swift.max(maximum, value)
        let difference = Double(value) - Double(shift)
        sum += difference
        squareSum += difference * difference
    }

    /// Reads one tensor of 32-bit floats in chunks of a megabyte.
    ///
    /// - Throws: `.missing`, `.unsupported` or `.system`, as `SafetensorsReader.read`.
    package static func of(
        _ name: String, in reader: SafetensorsReader
    ) throws(CheckpointError) -> TensorStatistics {
        var statistics = TensorStatistics()
        guard let entry = reader.entry(named: name) else {
            throw CheckpointError(.missing, path: reader.path, "holds no tensor named \(quoted(name))")
        }
        let chunk = UnsafeMutableBufferPointer<Float>.allocate(capacity: 1 << 18)
        defer { chunk.deallocate() }
        var position = 0
        while position < entry.elementCount {
            let end = Swift.min(entry.elementCount, position + chunk.count)
            let part = UnsafeMutableBufferPointer(rebasing: chunk[..<(end - position)])
            try reader.read(name, elements: position..<end, into: part)
            statistics.add(UnsafeBufferPointer(part))
            position = end
        }
        return statistics
    }
}
