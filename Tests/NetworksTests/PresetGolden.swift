import Foundation
import Layers
import Networks
import Optimizers

/// What `Scripts/reference/presets.py` wrote; its README says what each key is.
struct PresetGolden: Decodable {
    let steps: Int
    let steps_per_epoch: Double
    let seed: UInt64
    let positions: [UInt64]
    let cases: [Case]

    struct Case: Decodable {
        let name: String
        let size: Int
        let dropout: Bool
        let loss: LossValues
        let optimizer: OptimizerValues
        let schedule: String
        let tensors: [Tensor]
        let losses: [Double]
        let outputs: [Double]
        let smallest_margin: Double
        let gradients, statistics, last_statistics: [String: Summary]

        /// Parameters by name, and under `input` and `labels` the batch.
        func values(_ name: String, count: Int, exponent: Int = 0, offset: Double = 0) -> [Float] {
            PresetGolden.tensor("\(self.name).\(name)", count: count, exponent: exponent, offset: offset)
        }
    }

    struct LossValues: Decodable { let kind: Loss.Kind; let value: Double }

    struct OptimizerValues: Decodable {
        let kind: OptimizerKind
        let rate: Double
        let decay, bias_multiplier, normalization_multiplier: Double?

        var configuration: OptimizerConfiguration {
            OptimizerConfiguration(
                kind: kind, learningRate: rate, weightDecay: decay ?? 0, biasRateMultiplier: bias_multiplier ?? 1,
                normalizationRateMultiplier: normalization_multiplier ?? 1)
        }
    }

    struct Tensor: Decodable {
        let name: String
        let shape: [Int]
        let exponent: Int
        let offset: Double
    }

    /// All values of a small tensor; of a large one the largest magnitude, the sum of squares and some samples.
    struct Summary: Decodable {
        let values: [Double]?
        let largest, sum_of_squares: Double?
        let indices: [Int]?
        let samples: [Double]?

        /// The largest of all values.
        var magnitude: Double { largest ?? (values ?? []).reduce(0) { max($0, abs($1)) } }
    }

    static func load() throws -> PresetGolden {
        let url = Bundle.module.url(forResource: "presets", withExtension: "json", subdirectory: "Golden")!
        return try JSONDecoder().decode(PresetGolden.self, from: Data(contentsOf: url))
    }

    /// u · 2^exponent + offset, u of 24 binary digits in -1 ..< 1 a hash of name and index.
    static func tensor(_ name: String, count: Int, exponent: Int, offset: Double) -> [Float] {
        let start = name.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        let factor = exponent < 0 ? 1 / Double(1 << -exponent) : Double(1 << exponent)
        return (1...UInt64(count)).map { index in
            var z = start &+ index &* 0x9E37_79B9_7F4A_7C15
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return Float((Double((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1) * factor + offset)
        }
    }
}

extension [LayerNode] {
    /// The same layers, none of which drops anything in training.
    var withoutDropout: [LayerNode] {
        map { node in
            let layer: any LayerDescription =
                switch node.layer {
                case let layer as Dropout: Dropout(0, scaling: layer.scaling)
                case let layer as Branches: Branches(layer.branches.map(\.withoutDropout), join: layer.join)
                case let layer as Residual: Residual(layer.layers.withoutDropout, skip: layer.skip.withoutDropout)
                default: node.layer
                }
            return LayerNode(layer, name: node.name)
        }
    }
}
