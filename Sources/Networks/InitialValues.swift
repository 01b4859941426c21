package import Kernels
package import Layers
package import Memory
package import System

/// Principal components of the training poses.
package struct PoseStatistics: Sendable {
    /// (values).
    package let mean: [Float]
    /// (components, values), in descending order of variance.
    package let components: [[Float]]

    package init(mean: [Float], components: [[Float]]) {
        self.mean = mean
        self.components = components
    }

    /// The label's own axes: for measurements, where no poses are at hand.
    package static var unit: PoseStatistics {
        let count = NetworkDescription.outputs
        return PoseStatistics(
            mean: Array(repeating: 0, count: count),
            components: (0..<count).map { row in (0..<count).map { $0 == row ? 1 : 0 } })
    }
}

extension NetworkDescription {
    /// What the last layer makes of its values.
    package var head: OutputHead {
        switch (layers.last?.layer as? Activation)?.function {
        case .relu?: .relu
        case .exp?: .exp
        default: .linear
        }
    }

    /// The last fully connected layer's bias, where its values become outputs one by one.
    private var outputBias: String? {
        guard let place = layers.placed(on: input).last(where: { !($0.node.layer is Activation) }),
            let dense = place.node.layer as? FullyConnected, dense.bias, dense.units == outputCount
        else { return nil }
        return "\(place.name).bias"
    }

    /// Whether initial values are taken from the training poses.
    package var needsPoses: Bool {
        declarations.contains { $0.initial == .poseMean || $0.initial == .poseComponents }
    }

    /// Writes the parameters' initial values: a pure function of the seed, whatever the number of ranks or threads.
    /// - Parameters:
    ///   - parameters: laid out as `table(division:rank:)`, overwritten.
    ///   - meanOutput: what the last layer's bias makes the network give at first; nil: as the other biases.
    ///   - poses: needed where `needsPoses`.
    ///   - given: the rank's table, where it is not that of `table(division:rank:)`.
    package func initialize(
        _ parameters: UnsafeMutablePointer<Float>, seed: UInt64, team: WorkerTeam, meanOutput: [Float]? = nil,
        poses: PoseStatistics? = nil, division: Division = .none, rank: Int = 0, table given: ParameterTable? = nil
    ) {
        let table = given ?? table(division: division, rank: rank)
        let outputBias = outputBias
        for (number, (declared, parameter)) in zip(declarations, table.parameters).enumerated() {
            let start = parameters + parameter.range.lowerBound
            if let meanOutput, parameter.name == outputBias {
                for (output, mean) in meanOutput.enumerated() { start[output] = head.inverse(mean) }
                continue
            }
            let random = CounterRandom(seed: seed, stream: UInt64(number))
            // Consecutive values: of the whole parameter, or of the rows that are held.
            let rowLength = parameter.rowLength
            let rows = division.rows[declared.name]?[rank] ?? [0..<parameter.shape[0]]
            var place = 0
            for rows in rows {
                declared.initial.fill(
                    start + place, count: rows.count * rowLength, first: rows.lowerBound * rowLength, random, team: team,
                    poses: poses)
                place += rows.count * rowLength
            }
        }
    }
}

extension InitialDistribution {
    private static let block = 1 << 16

    /// Writes `count` values, the first of which is number `first` of the parameter.
    func fill(
        _ values: UnsafeMutablePointer<Float>, count: Int, first: Int, _ random: CounterRandom, team: WorkerTeam,
        poses: PoseStatistics?
    ) {
        func inBlocks(_ body: (_ start: Int, UnsafeMutableBufferPointer<Float>) -> Void) {
            team.forEach((count + Self.block - 1) / Self.block) { item, _ in
                let range = item * Self.block..<min(count, (item + 1) * Self.block)
                body(first + range.lowerBound, UnsafeMutableBufferPointer(start: values + range.lowerBound, count: range.count))
            }
        }
        switch self {
        case .constant(let value): values.update(repeating: value, count: count)
        case .truncatedNormal(let deviation):
            inBlocks { RandomFill.truncatedNormal(random, start: $0, deviation: deviation, into: $1) }
        case .uniform(let limit):
            inBlocks { start, values in
                for index in values.indices {
                    values[index] = limit * (Float(random.bits(UInt64(start + index)) >> 40) * 0x1p-23 - 1)
                }
            }
        case .poseMean:
            guard let poses else { preconditionFailure("initial values of poses without poses") }
            for index in 0..<count { values[index] = poses.mean[first + index] }
        case .poseComponents:
            guard let poses else { preconditionFailure("initial values of poses without poses") }
            let width = poses.mean.count
            for index in 0..<count {
                values[index] = poses.components[(first + index) / width][(first + index) % width]
            }
        }
    }
}
