import Layers
import System
import Testing

extension Dropout: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init("dropout", (3, 3, 3), Dropout(0.4)),
            .init("dropout, scaled in evaluation", (3, 3, 3), Dropout(0.3, scaling: .evaluation)),
        ]
    }

    /// Two values a random number, low half first; numbers count on from sample to sample.
    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        guard network.isTraining else { return scaling == .training ? x : x.map { $0 * (1 - rate) } }
        let random = CounterRandom(seed: network.seed, stream: 0x6472_6F70_0000_0000 | UInt64(network.leaves))
        let count = place.input.count
        return x.indices.map { index in
            let (sample, own) = (index / count, UInt64(index % count))
            let bits = random.bits(network.positions[sample] * UInt64((count + 1) / 2) + own / 2)
            let part = own % 2 == 0 ? bits & 0xFFFF_FFFF : bits >> 32
            if Double(part) < (rate * 0x1p32).rounded(.down) { return 0 }
            return scaling == .training ? x[index] / (1 - rate) : x[index]
        }
    }
}

@Suite("Dropout")
struct DropoutTests {
    @Test("drops its share, others for every sample, layer and seed, and the same for the same")
    func dropout() throws {
        let count = 4000
        let nodes = [LayerNode(Dropout(0.3)), LayerNode(Dropout(0.3))]
        func masks(_ positions: [UInt64], seed: UInt64 = 5) throws -> [[Bool]] {
            let rig = try LayerRig([nodes[0]], Shape(vector: count), samples: positions.count)
            rig.pass.seed = seed
            let ones = [Double](repeating: 1, count: positions.count * count)
            let y = try rig.forward(ones, mode: .training, positions: positions)
            return positions.indices.map { sample in (0..<count).map { y[sample * count + $0] == 0 } }
        }
        let found = try masks([7, 8, 1 << 40])
        for mask in found {
            // 0.3 within five standard deviations.
            let share = Double(mask.count { $0 }) / Double(count)
            #expect(abs(share - 0.3) < 5 * (0.3 * 0.7 / Double(count)).squareRoot())
        }
        #expect(found[0] != found[1] && found[1] != found[2])
        #expect(try masks([8, 7])[0] == found[1] && masks([8, 7])[1] == found[0])
        #expect(try masks([7], seed: 6)[0] != found[0])
        // Two layers: what both keep is 0.49 of all, so they drop independently.
        let rig = try LayerRig(nodes, Shape(vector: count), samples: 1)
        let kept = try rig.forward([Double](repeating: 1, count: count), mode: .training).count { $0 != 0 }
        #expect(abs(Double(kept) / Double(count) - 0.49) < 5 * (0.49 * 0.51 / Double(count)).squareRoot())
    }
}
