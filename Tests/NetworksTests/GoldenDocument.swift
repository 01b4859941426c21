import Foundation

/// What `Scripts/reference/golden.py` wrote; its README says what each key is.
struct GoldenDocument: Decodable {
    let batch, height, width, hidden, outputs, steps: Int
    let adam: AdamValues
    let cases: [GoldenCase]

    struct AdamValues: Decodable {
        let learning_rate, beta1, beta2, epsilon: Double
    }

    static func load() throws -> GoldenDocument {
        let url = Bundle.module.url(forResource: "network", withExtension: "json", subdirectory: "Golden")!
        return try JSONDecoder().decode(GoldenDocument.self, from: Data(contentsOf: url))
    }
}

struct GoldenCase: Decodable {
    let name: String
    let pool: Int
    let head: String
    let tensors: [Tensor]
    let losses: [Double]
    let outputs: [Double]
    let gradients: [String: Summary]
    let weights: [String: Summary]

    /// A tensor whose element i is factor · (((i · 2654435761 + number · 40503 + 12345) mod 2^32) / 2^32 - 0.5) + offset.
    struct Tensor: Decodable {
        let number: Int
        let name: String
        let shape: [Int]
        let factor, offset: Double

        var values: [Double] {
            (0..<shape.reduce(1, *)).map { index in
                let integer = (UInt64(index) &* 2_654_435_761 &+ UInt64(number * 40503 + 12345)) % (1 << 32)
                return factor * (Double(integer) / 4_294_967_296 - 0.5) + offset
            }
        }
    }

    /// All values of a small tensor; sums and 16 samples of a large one.
    struct Summary: Decodable {
        let values: [Double]?
        let sum: Double?
        let sum_of_squares: Double?
        let indices: [Int]?
        let samples: [Double]?
    }

    /// The initial parameters, by name.
    var parameters: [String: [Double]] {
        Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.values) }).filter { gradients[$0.key] != nil }
    }

    func tensor(_ name: String) -> [Double] { tensors.first { $0.name == name }!.values }
}
