import Foundation
import HandData
import Testing

/// What a batch holds, copied out of the loader's buffers.
private struct Copy: Equatable {
    var step: UInt64
    var samples: [Int]
    var positions: [UInt64]
    var input: [Float]
    var labels: [Float]

    init(_ batch: Batch) {
        step = batch.step
        samples = Array(batch.samples)
        positions = Array(batch.positions)
        input = Array(batch.input)
        labels = Array(batch.labels)
    }
}

private func configuration(threads: Int = 2, ahead: Int = 2, policy: BadSamplePolicy = .stop)
    -> BatchLoader.Configuration
{
    var configuration = BatchLoader.Configuration()
    configuration.conditioning = .raw
    configuration.threads = threads
    configuration.stepsAhead = ahead
    configuration.onBadSample = policy
    return configuration
}

private func load(
    _ source: PatternSource, batch: Int, rank: Int = 0, ranks: Int = 1, steps: Range<UInt64>,
    _ configuration: BatchLoader.Configuration = configuration(), cache: FrameCache? = nil
) throws -> [Copy] {
    let order = SampleOrder(count: source.count, seed: 9)
    let loader = try BatchLoader(
        source: source, order: order, batch: batch, rank: rank, ranks: ranks, steps: steps,
        configuration: configuration,
        cache: cache)
    var copies: [Copy] = []
    while let batch = try loader.next() { copies.append(Copy(batch)) }
    return copies
}

/// Withholds sample 2 the first time, as a file server that does not answer.
private final class WithholdingSource: FrameSource, @unchecked Sendable {  // read by one thread
    private let pattern: PatternSource
    private var hasFailed = false

    init(pattern: PatternSource) { self.pattern = pattern }

    var count: Int { pattern.count }
    var width: Int { pattern.width }
    var height: Int { pattern.height }
    var fingerprint: UInt64 { pattern.fingerprint }
    func describe(_ index: Int) -> String { pattern.describe(index) }
    func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) { pattern.readLabel(index, into: label) }

    func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) throws(BadSample) {
        if index == 2 && !hasFailed {
            hasFailed = true
            throw BadSample(path: "frame2", labelFile: "made", line: 3, index: 2, reason: "Stale file handle", mayPass: true)
        }
        try pattern.readFrame(index, into: depth)
    }
}

@Suite(.timeLimit(.minutes(1))) struct BatchLoaderTests {
    static let source = PatternSource(count: 23)

    /// What storage did not give in one epoch is asked for again in the next; what cannot be decoded is not.
    @Test func aFrameThatStorageWithheldIsReadAgain() throws {
        let source = WithholdingSource(pattern: PatternSource(count: 6, broken: [4]))
        let order = SampleOrder(count: 6, seed: 9)
        let loader = try BatchLoader(
            source: source, order: order, batch: 6, steps: 0..<3, configuration: configuration(threads: 1, ahead: 1, policy: .skip))
        var (counts, told): ([Int], [[Int?]]) = ([], [])
        while let batch = try loader.next() {
            counts.append(batch.count)
            told.append(batch.bad.map(\.index).sorted { $0! < $1! })
        }
        #expect(counts == [4, 5, 5])
        #expect(told == [[2, 4], [], []])
    }

    @Test func batchesHoldTheirSamples() throws {
        var order = SampleOrder(count: 23, seed: 9)
        let batches = try load(Self.source, batch: 5, steps: 0..<12)
        #expect(batches.map(\.step) == Array(0..<12))
        for batch in batches {
            #expect(batch.positions == Array((batch.step * 5)..<(batch.step * 5 + 5)))
            #expect(batch.samples == batch.positions.map { order.sample(at: $0) })
            #expect(batch.labels == batch.samples.flatMap { patternLabel($0) })
            let size = PNG.Size(width: Self.source.width, height: Self.source.height)
            #expect(batch.input == batch.samples.flatMap { patternFrame($0, size: size).map { Float($0) } })
        }
    }

    @Test(arguments: [1, 2, 4], [1, 3])
    func neitherThreadsNorDepthNorCacheChangeABatch(threads: Int, ahead: Int) throws {
        let expected = try load(Self.source, batch: 7, steps: 0..<20, configuration(threads: 1, ahead: 1))
        #expect(
            try load(Self.source, batch: 7, steps: 0..<20, configuration(threads: threads, ahead: ahead)) == expected)
        for limit in [600, 1 << 20] {
            let cache = try FrameCache(count: 23, width: 12, height: 8, byteLimit: limit)
            let cached = try load(
                Self.source, batch: 7, steps: 0..<20, configuration(threads: threads, ahead: ahead), cache: cache)
            #expect(cached == expected)
            #expect(cache.frameCount > 0)
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5], [7, 3])
    func ranksTogetherHoldTheGlobalBatch(ranks: Int, batch: Int) throws {
        let whole = try load(Self.source, batch: batch, steps: 0..<10)
        let parts = try (0..<ranks).map { try load(Self.source, batch: batch, rank: $0, ranks: ranks, steps: 0..<10) }
        for step in 0..<10 {
            #expect(parts.flatMap { $0[step].samples } == whole[step].samples)
            #expect(parts.flatMap { $0[step].input } == whole[step].input)
        }
    }

    @Test func startingInTheMiddleIsGoingOn() throws {
        let whole = try load(Self.source, batch: 5, steps: 0..<12)
        #expect(try load(Self.source, batch: 5, steps: 7..<12) == Array(whole[7...]))
        #expect(try load(Self.source, batch: 5, steps: 12..<12).isEmpty)
    }

    @Test func aRangeIsReadOnceInOrder() throws {
        let loader = try BatchLoader(source: Self.source, range: 4..<17, batch: 5, configuration: configuration())
        for _ in 0..<3 {
            var samples: [[Int]] = []
            while let batch = try loader.next() { samples.append(Array(batch.samples)) }
            #expect(samples == [[4, 5, 6, 7, 8], [9, 10, 11, 12, 13], [14, 15, 16]])
            #expect(try loader.next() == nil)
            loader.restart()
        }
        let empty = try BatchLoader(source: Self.source, range: 3..<3, batch: 5)
        #expect(try empty.next() == nil)
    }

    @Test func restartingAmidWorkIsSafe() throws {
        let loader = try BatchLoader(
            source: Self.source, order: SampleOrder(count: 23, seed: 9), batch: 5, steps: 0..<1000,
            configuration: configuration(threads: 3))
        let expected = try load(Self.source, batch: 5, steps: 0..<8)
        for round in 0..<200 {
            let step = UInt64(round % 8)
            loader.restart(at: step)
            #expect(Copy(try #require(try loader.next())) == expected[Int(step)])
        }
    }

    @Test func badSamplesStopARunAtTheirStep() throws {
        let whole = try load(Self.source, batch: 5, steps: 0..<5)
        let broken = whole[2].samples[3]
        let source = PatternSource(count: 23, broken: [broken])
        let loader = try BatchLoader(
            source: source, order: SampleOrder(count: 23, seed: 9), batch: 5, steps: 0..<5,
            configuration: configuration())
        #expect(Copy(try #require(try loader.next())) == whole[0])
        #expect(Copy(try #require(try loader.next())) == whole[1])
        for _ in 0..<2 {
            let error = #expect(throws: BadSample.self) { try loader.next() }
            #expect(error?.description == "made:\(broken + 1): frame\(broken): broken")
        }
    }

    @Test(arguments: [1, 3])
    func badSamplesAreLeftOutAndReportedOnce(threads: Int) throws {
        let source = PatternSource(count: 23, broken: [2, 11, 12])
        let whole = try load(Self.source, batch: 6, steps: 0..<20)
        let loader = try BatchLoader(
            source: source, order: SampleOrder(count: 23, seed: 9), batch: 6, steps: 0..<20,
            configuration: configuration(threads: threads, policy: .skip))
        var reported: [Int] = []
        for expected in whole {
            let batch = try #require(try loader.next())
            #expect(batch.bad.allSatisfy { expected.samples.contains($0.index!) })
            reported += batch.bad.map { $0.index! }
            let kept = expected.samples.filter { !source.broken.contains($0) }
            #expect(batch.count == kept.count)
            #expect(Array(batch.samples) == kept)
            #expect(Array(batch.labels) == kept.flatMap { patternLabel($0) })
            let size = PNG.Size(width: 12, height: 8)
            #expect(Array(batch.input) == kept.flatMap { patternFrame($0, size: size).map { Float($0) } })
        }
        #expect(reported.sorted() == [2, 11, 12])
    }

    @Test func batchesOfBadSamplesAloneAreEmpty() throws {
        let source = PatternSource(count: 3, broken: [0, 1, 2])
        let batches = try load(source, batch: 2, steps: 0..<9, configuration(policy: .skip))
        #expect(batches.count == 9)
        #expect(batches.allSatisfy { $0.samples.isEmpty && $0.input.isEmpty })
    }

    @Test func loadersEndAtAnyMoment() throws {
        for round in 0..<100 {
            let loader = try BatchLoader(
                source: Self.source, order: SampleOrder(count: 23, seed: 9), batch: 9, steps: 0..<1_000_000,
                configuration: configuration(threads: 1 + round % 4))
            for _ in 0..<(round % 5) { _ = try loader.next() }
            if round % 2 == 0 { loader.stop() }
        }
        #expect(threadCount() < 100, "100 loaders with up to 4 threads each were started")
    }

    private func threadCount() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) ?? 0
    }
}
