import Kernels
import Memory
import Networks
import Testing
import TestOracle

@Suite("Initial values")
struct InitialValuesTests {
    /// fc1 is larger than the blocks that threads fill it by.
    private func rig(_ initialValues: InitialValues, threads: Int = 1, seed: UInt64 = 11) throws -> NetworkRig {
        let rig = try NetworkRig(
            WindowNetwork(
                height: 40, width: 60, pool: 2, hidden: 127, outputs: 48, initialValues: initialValues),
            maximumSamples: 1, threads: threads)
        rig.initialize(seed: seed)
        return rig
    }

    private func deviation(_ values: [Float]) -> Double {
        let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
        let squares = values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
        return (squares / Double(values.count)).squareRoot()
    }

    @Test("a function of the seed alone, whatever the threads", arguments: InitialValues.allCases, 1...4)
    func seedAlone(initialValues: InitialValues, threads: Int) throws {
        let expected = try rig(initialValues)
        let actual = try rig(initialValues, threads: threads)
        #expect(bitDifference(actual.parameters, expected.parameters) == nil)
        let other = try rig(initialValues, threads: threads, seed: 12)
        #expect(other.parameter("fc1.weight") != expected.parameter("fc1.weight"))
    }

    @Test("golden values of seed 1: checkpoints of the past began with them")
    func golden() throws {
        let rig = try rig(.he, seed: 1)
        #expect(
            ["conv1.weight", "fc1.weight", "fc2.weight"].map { rig.parameter($0).prefix(3).map(\.bitPattern) } == [
                [0x3c82_0b54, 0xbd54_db03, 0x3e5a_6fe5], [0x3cbc_6067, 0x3c24_7dff, 0xbc9c_0bb7],
                [0x3c12_0741, 0xbd98_c6fa, 0xbdb4_1fa8],
            ])
    }

    @Test("parameters have streams of their own")
    func streams() throws {
        let rig = try rig(.truncatedNormal)
        let starts = ["conv1.weight", "fc1.weight", "fc2.weight"].map { Array(rig.parameter($0).prefix(8)) }
        #expect(Set(starts).count == 3)
        let first = rig.parameter("fc1.weight")
        #expect(Set(first.prefix(10_000)).count > 9_900, "no block repeats another")
        #expect(first[0..<8] != first[(1 << 16)..<(1 << 16) + 8])
    }

    @Test("He: variance 2 / inputs before a ReLU, 1 / inputs before the outputs, biases 0")
    func he() throws {
        let rig = try rig(.he)
        let expected = [
            ("conv1.weight", (2.0 / 25).squareRoot()), ("fc1.weight", (2.0 / 4800).squareRoot()),
            ("fc2.weight", (1.0 / 127).squareRoot()),
        ]
        for (name, deviation) in expected {
            let values = rig.parameter(name)
            // The deviation's own relative error is about 0.6 / sqrt(n) for this distribution; four of them.
            let error = 2.4 / Double(values.count).squareRoot()
            #expect(abs(self.deviation(values) / deviation - 1) < error, "\(name)")
            let bound = Float(2 * deviation / 0.879_625_66) * 1.000001
            #expect(values.allSatisfy { abs($0) <= bound }, "\(name)")
        }
        for name in ["conv1.bias", "fc1.bias", "fc2.bias"] {
            #expect(rig.parameter(name).allSatisfy { $0.bitPattern == 0 }, "\(name)")
        }
    }

    @Test("truncated normal: 0.1 cut at 0.2, biases 0.1")
    func truncatedNormal() throws {
        let rig = try rig(.truncatedNormal)
        for name in ["conv1.weight", "fc1.weight", "fc2.weight"] {
            let values = rig.parameter(name)
            let error = 2.4 / Double(values.count).squareRoot()
            #expect(abs(deviation(values) / 0.087_962_566 - 1) < error, "\(name)")
            #expect(values.allSatisfy { abs($0) <= 0.200_000_1 }, "\(name)")
        }
        for name in ["conv1.bias", "fc1.bias", "fc2.bias"] {
            #expect(rig.parameter(name).allSatisfy { $0 == 0.1 }, "\(name)")
        }
    }

    @Test("nothing outside the parameters' ranges is written")
    func padding() throws {
        let rig = try rig(.truncatedNormal)
        let table = rig.network.table
        let owned = Set(table.parameters.flatMap { Array($0.range) })
        #expect((0..<table.count).allSatisfy { owned.contains($0) || rig.network.parameters[$0] == 0 })
    }

    @Test("a network whose last bias is the mean label begins by saying it", arguments: OutputHead.allCases)
    func meanOutput(head: OutputHead) throws {
        let window = WindowNetwork(height: 8, width: 12, hidden: 9, outputs: 3, head: head)
        let rig = try NetworkRig(window, maximumSamples: 1, threads: 1)
        let mean: [Float] = [158.12, 110.72, 341.97]
        rig.initialize(seed: 1, meanOutput: mean)
        // No image, and biases of 0 below: the last bias alone speaks.
        let outputs = rig.forward([Float](repeating: 0, count: 96), samples: 1)
        // The logarithm of 342 is 5.8: half an ulp of it is 2.4e-7 of the output, and expf adds one.
        #expect(mismatch(outputs, mean.doubles, tolerance: head == .exp ? 342 * 4 * Double(Float.ulpOfOne) : 0) == nil)
        #expect(rig.parameter("fc1.bias") == [Float](repeating: 0, count: 9))
    }
}
