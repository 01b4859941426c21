import Kernels
import Memory
import Networks
import Testing
import TestOracle

/// In evaluation a frame's outputs are a function of the frame and the weights.
@Suite("Prediction")
struct PredictionTests {
    static let shapes = [
        NetworkShape(height: 32, width: 48, pool: 2, hidden: 256, outputs: 48, samples: 13),
        NetworkShape(height: 24, width: 40, pool: 4, hidden: 64, outputs: 48, samples: 13),
        // Outputs that fill no strip, no register.
        NetworkShape(height: 20, width: 28, pool: 2, hidden: 23, outputs: 5, samples: 13),
        NetworkShape(height: 16, width: 20, pool: 2, hidden: 7, outputs: 51, samples: 13),
    ]

    private func window(_ shape: NetworkShape) -> WindowNetwork {
        WindowNetwork(
            height: shape.height, width: shape.width, pool: shape.pool, hidden: shape.hidden, outputs: shape.outputs)
    }

    /// Weights of a fixed seed, of numbers that need all of a float's digits.
    private func parameters(_ shape: NetworkShape) -> [String: [Double]] {
        var values = TestValues(seed: 31)
        return [
            "conv1.weight": values.uniform(200, bound: 0.4), "conv1.bias": values.uniform(8, bound: 0.3),
            "fc1.weight": values.uniform(shape.flattened * shape.hidden, bound: 0.1),
            "fc1.bias": values.uniform(shape.hidden, bound: 0.1),
            "fc2.weight": values.uniform(shape.hidden * shape.outputs, bound: 0.2),
            "fc2.bias": values.uniform(shape.outputs, bound: 0.2),
        ]
    }

    /// Frames with little, much and nothing but background, and of different sizes of numbers.
    private func frames(_ shape: NetworkShape) -> [[Float]] {
        var values = TestValues(seed: 32)
        let pixels = shape.height * shape.width
        return (0..<shape.samples).map { number in
            var frame = values.uniform(pixels, bound: number % 5 == 3 ? 1500 : 2).floats
            if number % 3 != 2 {
                let side = number % 4 * 4
                for index in 0..<pixels where index / shape.width >= side + 1 || index % shape.width > side || index == 0 {
                    frame[index] = 0
                }
            }
            return frame
        }
    }

    private func rig(_ shape: NetworkShape, threads: Int, kernels: DenseKernels = .auto) throws -> NetworkRig {
        let rig = try NetworkRig(window(shape), maximumSamples: shape.samples, threads: threads, kernels: kernels)
        rig.set(parameters(shape))
        return rig
    }

    @Test(
        "alone, in batches of 2 to 13, permuted, with unreadable ones between: the same bits, at any number of threads",
        arguments: shapes, 1...3)
    func neighbours(shape: NetworkShape, threads: Int) throws {
        let rig = try rig(shape, threads: threads)
        let (frames, units) = (frames(shape), shape.outputs)
        let alone = try self.rig(shape, threads: 1)
        let expected = frames.map { alone.predict($0, samples: 1) }
        #expect(Set(expected.map { $0.map(\.bitPattern) }).count > 8)
        var values = TestValues(seed: UInt64(threads))
        for size in 2...13 {
            for round in 0..<4 {
                var order = Array(0..<shape.samples)
                for index in order.indices.reversed() { order.swapAt(index, Int(values.next() % UInt64(index + 1))) }
                // What an unreadable frame leaves in its place: zeros, what was there before, or numbers of no meaning.
                let bad = Set((0..<size).filter { _ in round > 0 && values.next() % 3 == 0 })
                var input: [Float] = []
                for place in 0..<size {
                    let pixels = shape.height * shape.width
                    if bad.contains(place) {
                        input += [Float](repeating: [0, 0, .nan, 1e30][round], count: pixels)
                    } else {
                        input += frames[order[place]]
                    }
                }
                let outputs = rig.predict(input, samples: size)
                for place in 0..<size where !bad.contains(place) {
                    let own = Array(outputs[place * units..<(place + 1) * units])
                    #expect(
                        bitDifference(own, expected[order[place]]) == nil, "frame \(order[place]), place \(place) of \(size)")
                }
            }
        }
    }

    @Test("whatever kernels the training uses", arguments: shapes, [DenseKernels.blas, .tiled])
    func kernels(shape: NetworkShape, kernels: DenseKernels) throws {
        let input = frames(shape).flatMap { $0 }
        let expected = try rig(shape, threads: 2).predict(input, samples: shape.samples)
        let outputs = try rig(shape, threads: 2, kernels: kernels).predict(input, samples: shape.samples)
        #expect(bitDifference(outputs, expected) == nil)
    }

    @Test("to rounding what the forward pass gives", arguments: shapes)
    func forward(shape: NetworkShape) throws {
        let rig = try rig(shape, threads: 2)
        for frame in frames(shape) {
            let (outputs, predicted) = (rig.forward(frame, samples: 1), rig.predict(frame, samples: 1))
            let largest = max(1, outputs.doubles.magnitudes.max()!, rig.hiddenPeak)
            // Sums of some thousand products, then of hidden · weights.
            #expect(mismatch(predicted, outputs.doubles, tolerance: 256 * Double(Float.ulpOfOne) * largest) == nil)
        }
    }

    /// No BLAS takes part, and no sum's order depends on the processor: these bits are those of every one.
    @Test("the bits are those of every processor and of every BLAS")
    func knownBits() throws {
        let shape = Self.shapes[0]
        let outputs = try rig(shape, threads: 2).predict(frames(shape).flatMap { $0 }, samples: shape.samples)
        let hash = outputs.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1.bitPattern)) &* 0x100_0000_01B3 }
        #expect(hash == 0x89B0_90DE_AE70_FA71, "\(String(hash, radix: 16))")
    }

    /// The background's sums are kept from one prediction to the next.
    @Test("after a step, and after weights were set, what a network fresh from those weights says", arguments: shapes)
    func changedWeights(shape: NetworkShape) throws {
        let (rig, input) = (try rig(shape, threads: 2), frames(shape).flatMap { $0 })
        let before = rig.predict(input, samples: shape.samples)
        var values = TestValues(seed: 33)
        _ = try rig.step(
            frames(shape)[0], labels: values.uniform(shape.outputs).floats, samples: 1, immediate: true)
        let trained = rig.predict(input, samples: shape.samples)
        let fresh = try self.rig(shape, threads: 1)
        fresh.set(Dictionary(uniqueKeysWithValues: rig.network.table.parameters.map { ($0.name, rig.parameter($0.name).doubles) }))
        #expect(bitDifference(trained, fresh.predict(input, samples: shape.samples)) == nil)
        #expect(bitDifference(trained, before) != nil)
        rig.set(parameters(shape))
        #expect(bitDifference(rig.predict(input, samples: shape.samples), before) == nil)
    }

    @Test("NaN in a frame is NaN in its outputs, and in a weight in all")
    func nan() throws {
        let shape = Self.shapes[0]
        let rig = try rig(shape, threads: 2)
        var input = Array(frames(shape)[0...2].joined())
        input[shape.height * shape.width + 5] = .nan
        let outputs = rig.predict(input, samples: 3)
        #expect(outputs[48..<96].allSatisfy { $0.isNaN } && !outputs[..<48].contains { $0.isNaN })
        rig.network.parameters[rig.network.table["fc1.weight"].range.lowerBound] = .nan
        rig.network.weightsChanged()
        #expect(rig.predict(input, samples: 3).filter { $0.isNaN }.count == 3 * 48)
    }
}
