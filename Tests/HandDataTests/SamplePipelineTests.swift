import HandData
import Testing

/// Rendered hands, some of which are not there.
private struct Hands: FrameSource {
    let inner = SyntheticSource(SyntheticHands(seed: 41, width: 160, height: 120), frames: 0..<23)
    var blank: Set<Int> = []
    var count: Int { inner.count }
    var width: Int { inner.width }
    var height: Int { inner.height }
    var fingerprint: UInt64 { inner.fingerprint }

    func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) { inner.readLabel(index, into: label) }
    func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) throws(BadSample) {
        if blank.contains(index) { return depth.update(repeating: 32001) }
        try inner.readFrame(index, into: depth)
    }
    func describe(_ index: Int) -> String { inner.describe(index) }
    func refuse(_ index: Int, reason: String) -> BadSample { inner.refuse(index, reason: reason) }
}

private struct Copy: Equatable {
    var samples: [Int]
    var input: [Float]
    var labels: [Float]
    var geometries: [CropGeometry]

    init(_ batch: Batch) {
        samples = Array(batch.samples)
        input = Array(batch.input)
        labels = Array(batch.labels)
        geometries = Array(batch.geometries)
    }
}

private func cropping(_ augmentation: Augmentation = .strong, size: Int = 32) -> SamplePipeline {
    var crop = HandCrop(size: size)
    crop.augmentation = augmentation
    return .crop(crop)
}

private func load(
    _ source: Hands, pipeline: SamplePipeline, batch: Int = 7, rank: Int = 0, ranks: Int = 1, steps: Range<UInt64> = 0..<8,
    threads: Int = 2, ahead: Int = 2, policy: BadSamplePolicy = .stop, cache: FrameCache? = nil
) throws -> [Copy] {
    var configuration = BatchLoader.Configuration()
    configuration.pipeline = pipeline
    configuration.threads = threads
    configuration.stepsAhead = ahead
    configuration.onBadSample = policy
    let loader = try BatchLoader(
        source: source, order: SampleOrder(count: source.count, seed: 9), batch: batch, rank: rank, ranks: ranks, steps: steps,
        configuration: configuration, cache: cache)
    var copies: [Copy] = []
    while let batch = try loader.next() { copies.append(Copy(batch)) }
    return copies
}

@Suite("Sample pipeline", .timeLimit(.minutes(2)))
struct SamplePipelineTests {
    @Test("whole frames are the conditioned frames with their labels", arguments: DepthConditioning.allCases)
    func wholeFrames(conditioning: DepthConditioning) throws {
        let source = Hands()
        let pipeline = SamplePipeline.frame(conditioning)
        #expect(pipeline.inputSize(width: 160, height: 120) == (160, 120))
        #expect(pipeline.labelUnits == .image)
        for index in 0..<3 {
            let sample = try PreparedSample(pipeline, source, index)
            var depth = [UInt16](repeating: 0, count: 160 * 120)
            try depth.withUnsafeMutableBufferPointer { try source.readFrame(index, into: $0) }
            #expect(sample.input == depth.map { conditioning.value($0) })
            #expect(sample.label == readLabel(source, index))
            #expect(sample.geometry == nil)
        }
    }

    @Test("a crop shows the surface that the labels lie at")
    func cropped() throws {
        let source = SyntheticSource(SyntheticHands(seed: 42), frames: 0..<60)
        var crop = HandCrop(size: 128)
        crop.augmentation = .icvl
        let pipeline = SamplePipeline.crop(crop)
        var (near, all) = (0, 0)
        for index in 0..<source.count {
            let variation = pipeline.variation(seed: 1, position: UInt64(index), count: source.count)
            let sample = try PreparedSample(pipeline, source, index, variation: variation)
            let geometry = try #require(sample.geometry)
            for joint in 0..<16 {
                let column = Int(geometry.pixel(ofCoordinate: Double(sample.label[3 * joint])).rounded())
                let row = Int(geometry.pixel(ofCoordinate: Double(sample.label[3 * joint + 1])).rounded())
                guard (0..<128).contains(column), (0..<128).contains(row) else { continue }
                all += 1
                // Flesh is before its joint: nothing but another finger is farther before it.
                let before = (sample.label[3 * joint + 2] - sample.input[row * 128 + column]) * Float(geometry.half)
                if (-8...30).contains(before) { near += 1 }
            }
        }
        #expect(Double(near) > 0.8 * Double(all), "\(near) of \(all) joints lie under a surface 0 to 30 mm before them")
    }

    @Test("the three ways to a centre")
    func centres() throws {
        let source = Hands()
        let folder = try TemporaryFolder()
        try folder.write((0..<23).map { "\(40 + $0) 50.5 300\n" }.joined(), to: "c.txt")
        var crop = HandCrop(size: 16)
        crop.centre = .file(try CentreTable(contentsOf: "\(folder.path)/c.txt", count: 23))
        #expect(try PreparedSample(.crop(crop), source, 7).geometry?.centre == SIMD3(47, 50.5, 300))
        crop.centre = .labels
        let label = readLabel(source, 7)
        let centre = try #require(try PreparedSample(.crop(crop), source, 7).geometry?.centre)
        for axis in 0..<3 {
            var sum = 0.0
            for joint in 0..<16 { sum += Double(label[3 * joint + axis]) }
            #expect(abs(centre[axis] - sum / 16) < 1e-9)
        }
        crop.centre = .com
        let found = try #require(try PreparedSample(.crop(crop), source, 7).geometry?.centre)
        #expect(found != centre)
    }

    @Test("labels in image units stay the frame's")
    func imageUnits() throws {
        var crop = HandCrop(size: 16)
        crop.labelUnits = .image
        crop.augmentation = .icvl
        let pipeline = SamplePipeline.crop(crop)
        let sample = try PreparedSample(
            pipeline, Hands(), 3, variation: pipeline.variation(seed: 1, position: 3, count: 23))
        #expect(sample.label == readLabel(Hands(), 3))
        #expect(pipeline.decoder.units == .image)
    }

    @Test("a frame without a label gives the same input and geometry")
    func frameAlone() throws {
        let source = Hands()
        let pipeline = cropping()
        let expected = try PreparedSample(pipeline, source, 5)
        let scratch = SampleScratch(width: 160, height: 120)
        var depth = [UInt16](repeating: 0, count: 160 * 120)
        try depth.withUnsafeMutableBufferPointer { try source.readFrame(5, into: $0) }
        var input = [Float](repeating: 0, count: 32 * 32)
        let geometry = try depth.withUnsafeBufferPointer { depth in
            try input.withUnsafeMutableBufferPointer {
                try pipeline.prepare(DepthFrame(depth, width: 160, height: 120), scratch: scratch, input: $0)
            }
        }
        #expect(input == expected.input && geometry == expected.geometry)
    }

    @Test("outputs become millimetres by the sample's geometry")
    func decoding() throws {
        let source = Hands()
        let camera = Camera.icvl(width: 160, height: 120)
        for pipeline in [cropping(.icvl), .frame(.normalized)] {
            let sample = try PreparedSample(
                pipeline, source, 2, variation: pipeline.variation(seed: 4, position: 2, count: 23))
            let places = sample.label.withUnsafeBufferPointer {
                pipeline.decoder.millimetres($0, geometry: sample.geometry, camera: camera)
            }
            let label = readLabel(source, 2)
            for (joint, place) in places.enumerated() {
                let truth = camera.millimetres(
                    u: Double(label[3 * joint]), v: Double(label[3 * joint + 1]), d: Double(label[3 * joint + 2]))
                #expect(apart(place, truth) < 1e-3)
            }
        }
    }

    @Test("a frame without a hand is a bad sample with its place")
    func noHand() throws {
        let error = #expect(throws: BadSample.self) { try PreparedSample(cropping(), Hands(blank: [4]), 4) }
        #expect(
            error?.description == "synthetic hands of seed 41, frame:4: "
                + "no hand in the frame: no connected surface of at least 15 cm2 nearer than 1500 mm")
        #expect(error?.index == 4)
    }
}

@Suite("Batches of crops", .timeLimit(.minutes(2)))
struct CroppedBatchTests {
    @Test("a batch's samples are what the pipeline prepares")
    func batches() throws {
        let source = Hands()
        let pipeline = cropping()
        var order = SampleOrder(count: 23, seed: 9)
        for (step, batch) in try load(source, pipeline: pipeline).enumerated() {
            for row in 0..<7 {
                let position = UInt64(step * 7 + row)
                let sample = order.sample(at: position)
                let expected = try PreparedSample(
                    pipeline, source, sample, variation: pipeline.variation(seed: 9, position: position, count: 23))
                #expect(batch.samples[row] == sample)
                #expect(Array(batch.input[(row * 1024)..<(row * 1024 + 1024)]) == expected.input)
                #expect(Array(batch.labels[(row * 48)..<(row * 48 + 48)]) == expected.label)
                #expect(batch.geometries[row] == expected.geometry)
            }
        }
    }

    @Test("neither threads nor depth nor cache change a batch", arguments: [1, 3], [1, 2])
    func independent(threads: Int, ahead: Int) throws {
        let source = Hands()
        let expected = try load(source, pipeline: cropping(), threads: 1, ahead: 1)
        #expect(try load(source, pipeline: cropping(), threads: threads, ahead: ahead) == expected)
        for limit in [20_000, 1 << 20] {
            let cache = try FrameCache(count: 23, width: 160, height: 120, byteLimit: limit)
            #expect(try load(source, pipeline: cropping(), threads: threads, ahead: ahead, cache: cache) == expected)
            #expect(cache.frameCount > 0)
        }
    }

    @Test("epochs vary the same sample differently")
    func epochs() throws {
        let batches = try load(Hands(), pipeline: cropping(.icvl), batch: 23, steps: 0..<2)
        let first = try #require(batches[0].samples.firstIndex(of: 5))
        let second = try #require(batches[1].samples.firstIndex(of: 5))
        #expect(batches[0].geometries[first].rotation != batches[1].geometries[second].rotation)
    }

    @Test("ranks together hold the global batch", arguments: [2, 3, 5])
    func ranks(ranks: Int) throws {
        let whole = try load(Hands(), pipeline: cropping(), batch: 4, steps: 0..<7)
        let parts = try (0..<ranks).map { try load(Hands(), pipeline: cropping(), batch: 4, rank: $0, ranks: ranks, steps: 0..<7) }
        for step in 0..<7 {
            #expect(parts.flatMap { $0[step].input } == whole[step].input)
            #expect(parts.flatMap { $0[step].labels } == whole[step].labels)
            #expect(parts.flatMap { $0[step].geometries } == whole[step].geometries)
        }
    }

    @Test("a range is not varied")
    func range() throws {
        var configuration = BatchLoader.Configuration()
        configuration.pipeline = cropping()
        let loader = try BatchLoader(source: Hands(), range: 2..<9, batch: 4, configuration: configuration)
        for _ in 0..<2 {
            var index = 2
            while let batch = try loader.next() {
                for row in 0..<batch.count {
                    let expected = try PreparedSample(cropping(), Hands(), index)
                    #expect(Array(batch.input[(row * 1024)..<(row * 1024 + 1024)]) == expected.input)
                    #expect(batch.geometries[row] == expected.geometry)
                    index += 1
                }
            }
            #expect(index == 9)
            loader.restart()
        }
    }

    @Test("samples without a hand are left out with their geometry, or stop the run")
    func bad() throws {
        let source = Hands(blank: [3, 8])
        let whole = try load(Hands(), pipeline: cropping())
        for (expected, batch) in zip(whole, try load(source, pipeline: cropping(), policy: .skip)) {
            let kept = expected.samples.indices.filter { ![3, 8].contains(expected.samples[$0]) }
            #expect(batch.samples == kept.map { expected.samples[$0] })
            #expect(batch.geometries == kept.map { expected.geometries[$0] })
            let input = kept.flatMap { Array(expected.input[($0 * 1024)..<($0 * 1024 + 1024)]) }
            #expect(batch.input == input)
        }
        #expect(throws: BadSample.self) { try load(source, pipeline: cropping()) }
    }
}
