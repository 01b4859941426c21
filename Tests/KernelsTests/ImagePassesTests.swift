import Kernels
import System
import Testing
import TestOracle

/// Pooling, upsampling, softmax over positions and batch normalisation against their definitions; gradients against central
/// differences of the definitions, whose own error is near 1e-9.
@Suite("Passes over images")
struct ImagePassesTests {
    static let ulp = Double(Float.ulpOfOne)

    /// Height, width, channels and window.
    static let pools: [[Int]] = [
        [4, 4, 8, 2], [5, 7, 16, 2], [9, 11, 8, 4], [6, 6, 3, 2], [7, 6, 13, 3], [2, 2, 1, 2], [12, 13, 24, 4], [3, 3, 5, 1],
    ]

    private func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

    static let sets = InstructionSet.allCases.filter(\.isAvailable)

    @Test("max pooling and its gradient are the oracle's, ties included", arguments: pools, sets)
    func maximum(sizes: [Int], set: InstructionSet) {
        let pool = Pooling(height: sizes[0], width: sizes[1], channels: sizes[2], window: sizes[3], instructionSet: set)
        var values = TestValues(seed: 81)
        // Few values, so that many windows have several largest ones.
        let x = values.dyadic(pool.inputCount, bound: 2)
        let gradient = values.dyadic(pool.outputCount, bound: 9)
        let expected = Layers.maxPool(x, height: sizes[0], width: sizes[1], channels: sizes[2], pool: sizes[3])
        let xs = GuardedBuffer(x)
        let dy = GuardedBuffer(gradient)
        for rectified in [false, true] {
            let y = GuardedBuffer<Float>(overwriting: pool.outputCount)
            let winners = GuardedBuffer<UInt8>([UInt8](repeating: 255, count: pool.outputCount), outside: 99)
            let dx = GuardedBuffer<Float>(overwriting: pool.inputCount)
            for item in 0..<pool.items {
                pool.maximum(x: xs.start, y: y.start, winners: winners.start, rectified: rectified, item: item)
                pool.maximumBackward(
                    dy: dy.start, winners: winners.start, y: rectified ? y.start : nil, dx: dx.start, item: item)
            }
            let passed = zip(expected.values, gradient).map { rectified && $0 <= 0 ? 0 : $1 }
            #expect(mismatch(y.values, rectified ? Layers.rectifier(expected.values) : expected.values) == nil)
            #expect(
                mismatch(dx.values, Layers.maxPoolBackward(gradient: passed, winners: expected.winners, count: x.count)) == nil)
            #expect(y.isIntact && winners.isIntact && dx.isIntact && xs.isIntact && dy.isIntact)
        }
    }

    @Test("rows of channels go to another map, or are added to it; what lies between stays", arguments: [1, 8, 16, 31, 128], sets)
    func rowsOfChannels(channels: Int, set: InstructionSet) {
        let (rows, xStep, yStep) = (21, channels + 3, channels + 5)
        var values = TestValues(seed: 87)
        // The last row ends where its channels end.
        let x = values.dyadic((rows - 1) * xStep + channels, bound: 9)
        let before = values.dyadic((rows - 1) * yStep + channels, bound: 9)
        for accumulating in [false, true] {
            let (xs, y) = (GuardedBuffer(x), GuardedBuffer(before))
            ChannelRows.move(
                xs.start, step: xStep, to: y.start, step: yStep, rows: rows, channels: channels, accumulating: accumulating, set: set)
            var expected = before
            for row in 0..<rows {
                for c in 0..<channels {
                    let place = row * yStep + c
                    expected[place] = x[row * xStep + c] + (accumulating ? before[place] : 0)
                }
            }
            #expect(mismatch(y.values, expected) == nil)
            #expect(xs.isIntact && y.isIntact)
        }
    }

    /// Start and step: along the rows, turned, backwards, beyond each border, and too far for any pixel.
    static let lines: [(SIMD2<Float>, SIMD2<Float>)] = [
        ([0.5, 3.5], [1, 0]), ([-2.25, -1.5], [0.75, 0.5]), ([22.5, 11.75], [-0.8, -0.3]), ([3.1, 15], [0.6, -0.9]),
        ([7, 2], [0, 0.3]), ([-1e9, 5], [1e8, 0]), ([5, 5], [1e-3, 1e20]),
    ]

    @Test("a row of a crop has the frame's nearest pixels", arguments: [1, 15, 16, 37], sets)
    func cropRow(count: Int, set: InstructionSet) {
        let (width, height) = (23, 12)
        var values = TestValues(seed: 88)
        // Missing, before the cube, within it, behind it.
        let frame = GuardedBuffer(
            values.dyadic(width * height, bound: 3, unit: 1).map { [0, 150, 290, 310, 333, 450, 32_001][Int($0) + 3] as UInt16 }, outside: 7)
        for (start, step) in Self.lines {
            let row = GuardedBuffer<Float>(overwriting: count)
            CropRow.sample(
                frame.start, width: width, height: height, start: start, step: step, centre: 301.5, inverse: 0.008, into: row.start,
                count: count, set: set)
            let expected = (0..<count).map { column -> Float in
                let place = start + Float(column) * step
                guard place.x >= 0, place.y >= 0, place.x < Float(width), place.y < Float(height) else { return 1 }
                let depth = frame.values[Int(place.y) * width + Int(place.x)]
                return depth == 0 ? 1 : max(min((Float(depth) - 301.5) * 0.008, 1), -1)
            }
            #expect(bitDifference(row.values, expected) == nil, "from \(start) by \(step)")
            #expect(row.isIntact && frame.isIntact)
        }
    }

    @Test("a NaN wins its window, at any place and number of channels", arguments: [1, 8, 27], sets)
    func notANumber(channels: Int, set: InstructionSet) {
        let pool = Pooling(height: 2, width: 2, channels: channels, window: 2, instructionSet: set)
        for place in 0..<4 {
            var x = [Float](repeating: 3, count: pool.inputCount)
            for c in 0..<channels { x[place * channels + c] = .nan }
            let xs = GuardedBuffer(x, outside: 0)
            let y = GuardedBuffer<Float>([Float](repeating: 0, count: channels), outside: 0)
            let winners = GuardedBuffer<UInt8>([UInt8](repeating: 9, count: channels), outside: 99)
            pool.maximum(x: xs.start, y: y.start, winners: winners.start, rectified: true, item: 0)
            #expect(y.values.allSatisfy { $0.isNaN })
            #expect(winners.values.allSatisfy { $0 == UInt8(place) })
        }
    }

    @Test("average pooling and its gradient agree with the oracle", arguments: pools)
    func average(sizes: [Int]) {
        let pool = Pooling(height: sizes[0], width: sizes[1], channels: sizes[2], window: sizes[3])
        var values = TestValues(seed: 82)
        let x = values.uniform(pool.inputCount)
        let gradient = values.uniform(pool.outputCount)
        func forward(_ x: [Double]) -> [Double] {
            ImageLayers.averagePool(x, height: sizes[0], width: sizes[1], channels: sizes[2], window: sizes[3])
        }
        let (xs, dy) = (GuardedBuffer(x), GuardedBuffer(gradient))
        let y = GuardedBuffer<Float>(overwriting: pool.outputCount)
        let dx = GuardedBuffer<Float>(overwriting: pool.inputCount)
        for item in 0..<pool.items {
            pool.average(x: xs.start, y: y.start, item: item)
            pool.averageBackward(dy: dy.start, dx: dx.start, item: item)
        }
        #expect(mismatch(y.values, forward(x), tolerance: Double(sizes[3] * sizes[3]) * Self.ulp) == nil)
        let numeric = centralDifferences(at: x) { dot(forward($0), gradient) }
        #expect(mismatch(dx.values, numeric, tolerance: Self.ulp + 1e-8) == nil)
        #expect(y.isIntact && dx.isIntact)
    }

    @Test("the global average and its gradient agree with the definition", arguments: [[1, 8], [9, 16], [144, 5]])
    func globalAverage(sizes: [Int]) {
        let (positions, channels) = (sizes[0], sizes[1])
        var values = TestValues(seed: 83)
        let x = values.uniform(positions * channels)
        let gradient = values.uniform(channels)
        let (xs, dy) = (GuardedBuffer(x), GuardedBuffer(gradient))
        let y = GuardedBuffer<Float>(overwriting: channels)
        let dx = GuardedBuffer<Float>(overwriting: x.count)
        GlobalAverage.forward(x: xs.start, positions: positions, channels: channels, y: y.start)
        GlobalAverage.backward(dy: dy.start, positions: positions, channels: channels, dx: dx.start)
        let mean = (0..<channels).map { c in (0..<positions).reduce(0) { $0 + x[$1 * channels + c] } / Double(positions) }
        #expect(mismatch(y.values, mean, tolerance: Double(positions).squareRoot() * 2 * Self.ulp) == nil)
        #expect(mismatch(dx.values, x.indices.map { gradient[$0 % channels] / Double(positions) }, tolerance: Self.ulp) == nil)
        #expect(y.isIntact && dx.isIntact)
    }

    @Test("upsampling repeats pixels and adds, its gradient sums four", arguments: [[1, 1, 1], [2, 3, 8], [5, 4, 13], [3, 3, 128]])
    func upsampling(sizes: [Int]) {
        let up = Upsampling(height: sizes[0], width: sizes[1], channels: sizes[2])
        let count = sizes.reduce(1, *)
        var values = TestValues(seed: 84)
        let (x, other, gradient) = (values.dyadic(count, bound: 9), values.dyadic(4 * count, bound: 9), values.dyadic(4 * count, bound: 9))
        let (xs, others, dy) = (GuardedBuffer(x), GuardedBuffer(other), GuardedBuffer(gradient))
        let (plain, sum) = (GuardedBuffer<Float>(overwriting: 4 * count), GuardedBuffer<Float>(overwriting: 4 * count))
        let (dx, added) = (GuardedBuffer<Float>(overwriting: count), GuardedBuffer(x))
        for item in 0..<up.items {
            up.forward(x: xs.start, y: plain.start, item: item)
            up.forward(x: xs.start, adding: others.start, y: sum.start, item: item)
            up.backward(dy: dy.start, dx: dx.start, item: item)
            up.backward(dy: dy.start, dx: added.start, accumulating: true, item: item)
        }
        let repeated = ImageLayers.upsample(x, height: sizes[0], width: sizes[1], channels: sizes[2])
        #expect(mismatch(plain.values, repeated) == nil)
        #expect(mismatch(sum.values, zip(repeated, other).map { $0 + $1 }) == nil)
        let ones = ImageLayers.upsample(x.indices.map(Double.init), height: sizes[0], width: sizes[1], channels: sizes[2])
        var sums = [Double](repeating: 0, count: count)
        for (target, value) in zip(ones, gradient) { sums[Int(target)] += value }
        #expect(mismatch(dx.values, sums) == nil)
        #expect(mismatch(added.values, zip(x, sums).map { $0 + $1 }) == nil)
        for buffer in [plain, sum, dx, added] { #expect(buffer.isIntact) }
    }

    @Test(
        "softmax over positions agrees with its definition, also of large values, and of maps beside others",
        arguments: [[1, 3], [9, 16], [36, 16], [50, 5]], [0, 3])
    func softmax(sizes: [Int], beside: Int) {
        let (positions, channels) = (sizes[0], sizes[1])
        let step = channels + beside
        var values = TestValues(seed: 85)
        // Maps of a position lie `step` apart; what is between is another's.
        func spread(_ map: [Double]) -> [Double] {
            (0..<positions * step).map { $0 % step < channels ? map[$0 / step * channels + $0 % step] : 7 }
        }
        func gathered(_ values: [Float]) -> [Float] {
            (0..<positions * channels).map { values[$0 / channels * step + $0 % channels] }
        }
        for bound in [1.0, 200] {
            let x = values.uniform(positions * channels, bound: bound)
            let gradient = values.uniform(x.count)
            let (xs, dx) = (GuardedBuffer(spread(x)), GuardedBuffer(spread(gradient)))
            let y = GuardedBuffer<Float>(overwriting: x.count)
            let scratch = GuardedBuffer<Float>(overwriting: 2 * channels)
            MapSoftmax.forward(
                scores: xs.start, stride: step, positions: positions, channels: channels, weights: y.start,
                scratch: scratch.start)
            MapSoftmax.backward(
                weights: y.start, positions: positions, channels: channels, gradient: dx.start, stride: step,
                scratch: scratch.start)
            // x - max is rounded by half an ulp of up to 2 · bound; n summands.
            let tolerance = (8 + 2 * bound + Double(positions).squareRoot()) * Self.ulp
            #expect(mismatch(y.values, ImageLayers.positionSoftmax(x, channels: channels), tolerance: tolerance) == nil)
            let numeric = centralDifferences(at: x) { dot(ImageLayers.positionSoftmax($0, channels: channels), gradient) }
            #expect(mismatch(gathered(dx.values), numeric, tolerance: 2 * tolerance + 1e-8) == nil)
            #expect((0..<positions * step).allSatisfy { $0 % step < channels || dx.values[$0] == 7 })
            #expect(y.isIntact && dx.isIntact && scratch.isIntact)
        }
    }

    /// What rectifies the normalised values.
    enum Rectifying: String, CaseIterable { case none, recomputed, result }

    @Test(
        "batch normalisation agrees with its definition, rectified or not", arguments: [[7, 8], [40, 3], [70, 16], [33, 13]], Rectifying.allCases)
    func normalization(sizes: [Int], rectifying: Rectifying) {
        let (rows, channels, epsilon) = (sizes[0], sizes[1], 1e-4)
        var values = TestValues(seed: 86)
        let x = values.uniform(rows * channels).map { $0 + 0.5 }.floats.doubles
        let (gamma, beta) = (values.uniform(channels), values.uniform(channels))
        let (gradient, summand) = (values.uniform(x.count), values.uniform(x.count))
        func forward(_ x: [Double], _ gamma: [Double], _ beta: [Double], _ summand: [Double]) -> [Double] {
            var y = ImageLayers.batchNormalization(x, gamma: gamma, beta: beta, epsilon: epsilon)
            if rectifying == .result { y = zip(y, summand).map { $0 + $1 } }
            return rectifying == .none ? y : Layers.rectifier(y)
        }
        let result = normalize(x, gamma, beta, gradient, summand, rectifying, epsilon: epsilon, .best)
        for set in Self.sets {
            let other = normalize(x, gamma, beta, gradient, summand, rectifying, epsilon: epsilon, set)
            #expect(other.y == result.y && other.dx == result.dx && other.sums == result.sums, "the same bits in each set")
            #expect(rectifying != .result || other.masked == result.masked)
        }
        let scale = 16 * (1 + Double(rows).squareRoot())
        #expect(mismatch(result.y, forward(x, gamma, beta, summand), tolerance: scale * Self.ulp) == nil)
        let dx = centralDifferences(at: x) { dot(forward($0, gamma, beta, summand), gradient) }
        let dgamma = centralDifferences(at: gamma) { dot(forward(x, $0, beta, summand), gradient) }
        let dbeta = centralDifferences(at: beta) { dot(forward(x, gamma, $0, summand), gradient) }
        #expect(mismatch(result.dx, dx, tolerance: 4 * scale * Self.ulp + 1e-7) == nil)
        #expect(mismatch(result.sums, dbeta + dgamma, tolerance: (dbeta + dgamma).map { _ in scale * Self.ulp + 1e-7 }) == nil)
        if rectifying == .result {
            let dsummand = centralDifferences(at: summand) { dot(forward(x, gamma, beta, $0), gradient) }
            #expect(mismatch(result.masked, dsummand, tolerance: 1e-7) == nil)
        }
    }

    private func normalize(
        _ x: [Double], _ gamma: [Double], _ beta: [Double], _ gradient: [Double], _ summand: [Double],
        _ rectifying: Rectifying, epsilon: Double, _ set: InstructionSet
    ) -> (y: [Float], dx: [Float], sums: [Double], masked: [Float]) {
        let normalization = BatchNormalization(channels: gamma.count, instructionSet: set)
        let (rows, channels) = (x.count / gamma.count, gamma.count)
        let (xs, dys, summands) = (GuardedBuffer(x), GuardedBuffer(gradient), GuardedBuffer(summand))
        let (gammas, betas) = (GuardedBuffer(gamma), GuardedBuffer(beta))
        // Two blocks, of unequal size, as a long batch has.
        let blocks = [0..<rows / 2, rows / 2..<rows]
        let partials = GuardedBuffer<Double>([Double](repeating: .nan, count: 2 * normalization.partialCount), outside: 1)
        let totals = GuardedBuffer<Double>([Double](repeating: .nan, count: normalization.partialCount), outside: 1)
        let vectors = (0..<7).map { _ in GuardedBuffer<Float>(overwriting: channels) }
        let (mean, inverse, variance, scale) = (vectors[0].start, vectors[1].start, vectors[2].start, vectors[3].start)
        let (shift, slope, offset) = (vectors[4].start, vectors[5].start, vectors[6].start)
        let y = GuardedBuffer<Float>(overwriting: x.count)
        let dx = GuardedBuffer<Float>(overwriting: x.count)
        let masked = GuardedBuffer<Float>(overwriting: x.count)
        for (index, block) in blocks.enumerated() {
            normalization.statistics(
                x: xs.start, rows: block, partial: partials.start + index * normalization.partialCount)
        }
        normalization.sum(partials: partials.start, blocks: 2, into: totals.start)
        normalization.prepare(
            totals: totals.start, count: rows, epsilon: epsilon, gamma: gammas.start, beta: betas.start, mean: mean,
            inverse: inverse, variance: variance, scale: scale, shift: shift)
        let mask: BatchNormalization.Mask =
            switch rectifying {
            case .none: .none
            case .recomputed: .recomputed(scale: scale, shift: shift)
            case .result: .result(y.start)
            }
        for (index, block) in blocks.enumerated() {
            normalization.normalize(
                x: xs.start, scale: scale, shift: shift, adding: rectifying == .result ? summands.start : nil,
                rectified: rectifying != .none, y: y.start, rows: block)
            normalization.gradientSums(
                x: xs.start, dy: dys.start, mask: mask, mean: mean, inverse: inverse, rows: block,
                partial: partials.start + index * normalization.partialCount)
        }
        normalization.sum(partials: partials.start, blocks: 2, into: totals.start)
        normalization.prepareBackward(
            totals: totals.start, count: rows, mean: mean, inverse: inverse, scale: scale, slope: slope, offset: offset)
        for block in blocks {
            normalization.inputGradient(
                x: xs.start, dy: dys.start, mask: mask, scale: scale, slope: slope, offset: offset,
                masked: rectifying == .result ? masked.start : nil, dx: dx.start, rows: block)
        }
        for buffer in [xs, dys, summands, y, dx, masked] + vectors { #expect(buffer.isIntact) }
        #expect(partials.isIntact && totals.isIntact)
        return (y.values, dx.values, totals.values, masked.values)
    }

    @Test("a normalised part of a whole has the bits that it has alone, and its gradient too", arguments: sets)
    func normalizedPart(set: InstructionSet) {
        let (rows, channels, all, first) = (19, 27, 40, 5)
        let normalization = BatchNormalization(channels: channels, instructionSet: set)
        var values = TestValues(seed: 87)
        let (x, dy) = (GuardedBuffer(values.uniform(rows * channels)), values.uniform(rows * channels))
        let vectors = (0..<5).map { _ in GuardedBuffer(values.uniform(channels)) }
        let (scale, shift, mean, inverse, slope) = (
            vectors[0].start, vectors[1].start, vectors[2].start, vectors[3].start, vectors[4].start
        )
        func spread(_ part: [Double]) -> [Double] {
            (0..<rows * all).map { (first..<first + channels).contains($0 % all) ? part[$0 / all * channels + $0 % all - first] : 7 }
        }
        let (alone, among) = (GuardedBuffer(dy), GuardedBuffer(spread(dy)))
        let (y, whole) = (GuardedBuffer<Float>(overwriting: dy.count), GuardedBuffer(spread(dy)))
        normalization.normalize(x: x.start, scale: scale, shift: shift, rectified: true, y: y.start, rows: 3..<rows)
        normalization.normalize(
            x: x.start, scale: scale, shift: shift, rectified: true, y: whole.start + first, step: all, rows: 3..<rows)
        for row in 3..<rows {
            for c in 0..<channels { #expect(whole.values[row * all + first + c] == y.values[row * channels + c]) }
        }
        #expect((0..<rows * all).allSatisfy { (first..<first + channels).contains($0 % all) || whole.values[$0] == 7 })
        let results = [(alone, 0, nil), (among, first, all)].map { buffer, first, step -> ([Double], [Float]) in
            let sums = GuardedBuffer<Double>([Double](repeating: .nan, count: 2 * channels), outside: 1)
            let dx = GuardedBuffer<Float>(overwriting: dy.count)
            let mask = BatchNormalization.Mask.recomputed(scale: scale, shift: shift)
            normalization.gradientSums(
                x: x.start, dy: buffer.start + first, step: step, mask: mask, mean: mean, inverse: inverse, rows: 0..<rows,
                partial: sums.start)
            normalization.inputGradient(
                x: x.start, dy: buffer.start + first, step: step, mask: mask, scale: scale, slope: slope, offset: shift,
                dx: dx.start, rows: 0..<rows)
            #expect(sums.isIntact && dx.isIntact)
            return (sums.values, dx.values)
        }
        #expect(results[0] == results[1])
        for buffer in [x, alone, among, y, whole] + vectors { #expect(buffer.isIntact) }
    }

    @Test("dropout takes the halves of a stream's numbers in order, whatever the count", arguments: [1, 2, 15, 16, 17, 33], sets)
    func dropout(count: Int, set: InstructionSet) {
        let random = CounterRandom(seed: 3, stream: 4)
        let x = (0..<count).map { Double($0) + 1 }
        let (xs, y) = (GuardedBuffer(x), GuardedBuffer<Float>(overwriting: count))
        DropoutMask(random: random, rate: 0.4, instructionSet: set).apply(xs.start, y: y.start, count: count, first: 9, factor: 0.5)
        for index in 0..<count {
            let half = index % 2 == 0 ? random.bits(9 + UInt64(index / 2)) & 0xFFFF_FFFF : random.bits(9 + UInt64(index / 2)) >> 32
            #expect(y.values[index] == (Double(half) < (0.4 * 0x1p32).rounded(.down) ? 0 : Float(x[index]) * 0.5))
        }
        #expect(y.isIntact)
    }

    @Test("elementwise passes follow their formulas, NaN kept")
    func elementwise() {
        var values = TestValues(seed: 87)
        let (x, other) = (values.dyadic(77, bound: 4).floats + [.nan], values.dyadic(77, bound: 4).floats + [1])
        let (xs, others) = (GuardedBuffer(x, outside: 5), GuardedBuffer(other, outside: 5))
        let y = GuardedBuffer<Float>(overwriting: 78)
        func expect(_ formula: (Float, Float) -> Float, _ what: Comment) {
            let expected = zip(x, other).map(formula)
            for (one, two) in zip(y.values, expected) { #expect(one == two || one.isNaN && two.isNaN, what) }
            #expect(y.isIntact)
        }
        Elementwise.add(xs.start, others.start, y: y.start, count: 78)
        expect({ $0 + $1 }, "add")
        Elementwise.add(xs.start, others.start, rectified: true, y: y.start, count: 78)
        expect({ $0 + $1 <= 0 ? 0 : $0 + $1 }, "add, rectified")
        Elementwise.rectifier(xs.start, y: y.start, count: 78)
        expect({ value, _ in value <= 0 ? 0 : value }, "rectifier")
        Elementwise.rectifierBackward(y: xs.start, dy: others.start, dx: y.start, count: 78)
        expect({ $0 <= 0 ? 0 : $1 }, "rectifier's gradient")
        Elementwise.leakyRectifier(xs.start, slope: 0.125, y: y.start, count: 78)
        expect({ value, _ in value <= 0 ? value * 0.125 : value }, "leaky rectifier")
        Elementwise.leakyRectifierBackward(y: xs.start, dy: others.start, slope: 0.125, dx: y.start, count: 78)
        expect({ $0 <= 0 ? $1 * 0.125 : $1 }, "leaky rectifier's gradient")
        Elementwise.exponentialBackward(y: xs.start, dy: others.start, dx: y.start, count: 78)
        expect({ $0 * $1 }, "exponential's gradient")
        Elementwise.exponential(others.start, y: y.start, count: 78)
        #expect(
            mismatch(y.values, Head.exp.forward(other.doubles), tolerance: Head.exp.forward(other.doubles).map { $0 * Self.ulp })
                == nil)
    }
}
