import Foundation
import System
import Testing

@Suite("Counter-based random numbers")
struct CounterRandomTests {
    @Test(
        "golden numbers: checkpoints and sample orders of the past depend on them",
        arguments: [
            Golden(
                seed: 0, stream: 0,
                bits: [0x568A9B0B1A2C05EC, 0x44E5B8B147EF718B, 0x458563AB55521133, 0x52AC8058A1A2DF4F]),
            Golden(
                seed: 1, stream: 0,
                bits: [0x6EC85F1F8547BC0C, 0x6CF63AFCC21A470A, 0x8A27B94CFF7526AA, 0xA1B3AFB0331C1DAB]),
            Golden(
                seed: 0, stream: 1,
                bits: [0xD37690236F2CBF70, 0xB1181A5D6FA24499, 0xADD8C46B840F85B2, 0xD8B6B468429259D0]),
            Golden(
                seed: 42, stream: 7,
                bits: [0x9C25C36DC45DE5FC, 0xEFF8F204B4EBAECD, 0x4F4C0A9F067FEFED, 0x16C0E19095FCCC4B]),
            Golden(
                seed: .max, stream: .max,
                bits: [0x97C53905C4F521A3, 0x220F3AB10D7FDF18, 0xC04C9F846ADA1189, 0xEC6B5D4D099E9DF7]),
        ])
    func golden(_ golden: Golden) {
        let random = CounterRandom(seed: golden.seed, stream: golden.stream)
        #expect(golden.indices.map { random.bits($0) } == golden.bits)
    }

    struct Golden: Sendable, CustomTestStringConvertible {
        let seed, stream: UInt64
        let indices: [UInt64] = [0, 1, 2, 1 << 40]
        let bits: [UInt64]
        var testDescription: String { "seed \(seed), stream \(stream)" }
    }

    @Test("number i does not depend on what was asked before")
    func order() {
        let random = CounterRandom(seed: 5, stream: 6)
        let forwards = (0..<1000).map { random.bits($0) }
        let backwards = (0..<1000).reversed().map { CounterRandom(seed: 5, stream: 6).bits($0) }
        #expect(forwards == backwards.reversed())
        var generator = random.generator()
        #expect(forwards == (0..<1000).map { _ in generator.next() })
    }

    @Test("streams and seeds share no number")
    func streams() {
        var seen: Set<UInt64> = []
        for seed in UInt64(0)..<8 {
            for stream in UInt64(0)..<8 {
                let random = CounterRandom(seed: seed, stream: stream)
                for index in UInt64(0)..<1000 { seen.insert(random.bits(index)) }
            }
        }
        #expect(seen.count == 64_000)
    }

    @Test("every bit is set half of the time, and neighbours agree in half of their bits", arguments: [0, 1, 12_345])
    func bitBalance(seed: UInt64) {
        let random = CounterRandom(seed: seed, stream: 0)
        let count = 1 << 16
        var set = [Int](repeating: 0, count: 64)
        var agreeing = 0
        for index in UInt64(0)..<UInt64(count) {
            let bits = random.bits(index)
            for bit in 0..<64 where bits >> UInt64(bit) & 1 == 1 { set[bit] += 1 }
            agreeing += (~(bits ^ random.bits(index + 1))).nonzeroBitCount
        }
        // Standard error 128 of 32,768 for a bit, 1,024 for the sum of all; five and a half of them.
        for bit in 0..<64 { #expect(abs(set[bit] - count / 2) < 704, "bit \(bit)") }
        #expect(abs(agreeing - count * 32) < 5632)
    }

    @Test("uniform numbers: range, mean, chi-square over 256 cells", arguments: [1, 2, 3])
    func uniformity(seed: UInt64) {
        var generator = CounterRandom(seed: seed, stream: 9).generator()
        let count = 1 << 18
        var cells = [Int](repeating: 0, count: 256)
        var sum = 0.0
        for _ in 0..<count {
            let value = generator.uniform()
            #expect(value >= 0 && value < 1)
            cells[Int(value * 256)] += 1
            sum += Double(value)
        }
        let expected = Double(count) / 256
        let chiSquare = cells.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
        // 255 degrees of freedom: mean 255, deviation 22.6; five deviations to both sides.
        #expect((142.0...368).contains(chiSquare))
        #expect(abs(sum / Double(count) - 0.5) < 5 * 0.2887 / Double(count).squareRoot())
    }

    @Test("uniform numbers of a range stay in it")
    func range() {
        var generator = CounterRandom(seed: 4, stream: 4).generator()
        let values = (0..<10_000).map { _ in generator.uniform(-3...5) }
        #expect(values.allSatisfy { (-3...5).contains($0) })
        #expect(values.contains { $0 < -2.9 } && values.contains { $0 > 4.9 })
    }

    @Test("normal numbers: mean, deviation, kurtosis, tails")
    func normal() {
        var generator = CounterRandom(seed: 1, stream: 2).generator()
        let count = 1 << 18
        let values = (0..<count).map { _ in Double(generator.normal()) }
        let mean = values.reduce(0, +) / Double(count)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
        let fourth = values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / Double(count)
        // Standard errors at 2^18: 0.002, 0.0028, 0.019. Five of them.
        #expect(abs(mean) < 0.01)
        #expect(abs(variance - 1) < 0.014)
        #expect(abs(fourth - 3) < 0.1)
        let beyondTwo = Double(values.count { abs($0) > 2 }) / Double(count)
        #expect(abs(beyondTwo - (1 - erf(2.0.squareRoot()))) < 0.0021)
    }
}
