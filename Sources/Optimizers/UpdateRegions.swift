import Memory

/// How an optimiser treats the parameters of a role.
package struct Treatment: Sendable, Equatable {
    /// Multiplies the step's rate.
    package let rateMultiplier: Double
    /// Weight decay.
    package let decay: Double
}

/// The parts of a parameter arena that are updated, ascending: a parameter and the padding after it, and neighbours of equal
/// treatment as one part. Statistics and constants belong to none.
struct UpdateRegions: Sendable {
    /// The treatments that occur, different from each other.
    let treatments: [Treatment]
    private let ranges: [Range<Int>]
    /// Of each range, an index of `treatments`.
    private let kinds: [Int]
    private let byRole: [ParameterRole: Int]

    init(_ configuration: OptimizerConfiguration, table: ParameterTable) {
        var treatments: [Treatment] = []
        var byRole: [ParameterRole: Int] = [:]
        for role in ParameterRole.allCases {
            guard let treatment = configuration.treatment(of: role) else { continue }
            if !treatments.contains(treatment) { treatments.append(treatment) }
            byRole[role] = treatments.firstIndex(of: treatment)
        }
        var (ranges, kinds): ([Range<Int>], [Int]) = ([], [])
        let parameters = table.parameters.filter { $0.count > 0 }.sorted { $0.range.lowerBound < $1.range.lowerBound }
        for (index, parameter) in parameters.enumerated() {
            guard let kind = byRole[parameter.role] else { continue }
            let end = index + 1 < parameters.count ? parameters[index + 1].range.lowerBound : table.count
            let start = parameter.range.lowerBound
            if kinds.last == kind, let last = ranges.last, last.upperBound == start {
                ranges[ranges.count - 1] = last.lowerBound..<end
            } else {
                ranges.append(start..<end)
                kinds.append(kind)
            }
        }
        self.treatments = treatments
        self.byRole = byRole
        self.ranges = ranges
        self.kinds = kinds
    }

    func treatment(of role: ParameterRole) -> Int? { byRole[role] }

    /// Calls `body` with the parts of `range`, ascending.
    /// - Complexity: O(log parts) and the parts met.
    @inline(__always)
    func forEach(in range: Range<Int>, _ body: (_ treatment: Int, _ part: Range<Int>) -> Void) {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        while low < ranges.count, ranges[low].lowerBound < range.upperBound {
            let part = ranges[low].clamped(to: range)
            if !part.isEmpty { body(kinds[low], part) }
            low += 1
        }
    }
}
