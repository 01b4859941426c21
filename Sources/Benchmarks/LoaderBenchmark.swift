import Glibc
import HandData
import System
import Telemetry

/// Times the ways a frame reaches the network.
package struct LoaderBenchmark {
    package var threads: Int
    package var repeats: Int

    package init(threads: Int, repeats: Int) {
        self.threads = threads
        self.repeats = repeats
    }

    private static let frames = 400
    private static let batch = 100

    /// - Throws: `DataError` when the temporary directory cannot be written.
    package func run() throws -> BenchmarkReport {
        var template = Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/dtrain-loader-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw DataError("cannot make a temporary directory; hint: set TMPDIR") }
        let folder = String(decoding: template.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { remove(folder) }
        let hands = SyntheticSource(SyntheticHands(seed: 1), frames: 0..<Self.frames)
        let target = "\(folder)/icvl"
        var writing = Measurement()
        try writing.run { try ICVLWriter.write(training: hands, testing: nil, to: target, threads: threads) }
        let files = try ICVLDataSet.open(target).training
        let cache = try FrameCache(count: files.count, width: 320, height: 240, byteLimit: 1 << 30)
        var rows = [
            BenchmarkRow(name: "render, encode, write", seconds: writing.median, work: Double(Self.frames), unit: .frames)
        ]
        rows.append(try row("render", source: hands, cache: nil))
        rows.append(try row("read PNG (page cache warm)", source: files, cache: nil))
        _ = try row("fill the cache", source: files, cache: cache)
        rows.append(try row("from the frame cache", source: files, cache: cache))
        return BenchmarkReport(
            title: "loader: 320x240, batches of \(Self.batch), \(threads) thread\(threads == 1 ? "" : "s"); "
                + Processors.modelName,
            facts: [
                ("benchmark", .text("loader")), ("processor", .text(Processors.modelName)), ("threads", .integer(threads)),
                ("repeats", .integer(repeats)), ("cache_bytes_per_frame", .integer(cache.bytesUsed / max(1, cache.frameCount))),
            ], rows: rows, notes: ["the cache takes \(cache.bytesUsed / max(1, cache.frameCount)) bytes a frame"])
    }

    /// Frames a second through the loader, its first batches not counted.
    private func row(_ name: String, source: any FrameSource, cache: FrameCache?) throws -> BenchmarkRow {
        var configuration = BatchLoader.Configuration()
        configuration.threads = threads
        let loader = try BatchLoader(
            source: source, order: SampleOrder(count: source.count, seed: 1), batch: Self.batch,
            steps: 0..<UInt64.max, configuration: configuration, cache: cache)
        for _ in 0..<4 { _ = try loader.next() }
        var measurement = Measurement()
        try measurement.run { for _ in 0..<repeats { _ = try loader.next() } }
        loader.stop()
        return BenchmarkRow(
            name: name, seconds: measurement.median / Double(repeats), work: Double(Self.batch), unit: .frames)
    }

    /// Removes a folder of the benchmark's own making.
    private func remove(_ folder: String) {
        for name in (try? directoryNames(folder)) ?? [] where unlink("\(folder)/\(name)") != 0 { remove("\(folder)/\(name)") }
        rmdir(folder)
    }
}
