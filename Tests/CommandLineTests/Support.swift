import Foundation
import Testing
import TestSupport

/// Tests of the shipped program, one after the other. `Scripts/test.sh` runs some suites side by side, as most of their time is
/// waiting.
@Suite(.serialized) enum CommandLineTests {}

/// The real `dtrain`.
enum Dtrain {
    static let path = Subprocess.product("dtrain")

    /// A network and a data set that train in a fraction of a second. Last flags win, so that a test can vary one.
    static let small = [
        "--image-size", "64x48", "--hidden", "64", "--batch-size", "10", "--synthetic-frames", "200",
        "--synthetic-test-frames", "20", "--log-every", "1",
    ]

    /// Runs it, under `mpirun` when `ranks` are given, also when it is one.
    static func run(
        _ arguments: [String], ranks: Int? = nil, environment: [String: String?] = [:], directory: String? = nil,
        timeout: Int = 60
    ) throws -> Subprocess.Outcome {
        guard let ranks else {
            return try Subprocess.run(
                [path] + arguments, environment: environment, directory: directory, timeout: Double(timeout))
        }
        return try Subprocess.mpirun(
            ranks: ranks, [path] + arguments, environment: environment, directory: directory, timeout: timeout)
    }

    /// Trains the small network, and expects it to end well and without complaint.
    @discardableResult
    static func train(
        _ arguments: [String], into run: String, ranks: Int = 1, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Subprocess.Outcome {
        let outcome = try Dtrain.run(small + arguments + ["--run-dir", run], ranks: ranks == 1 ? nil : ranks)
        #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)", sourceLocation: sourceLocation)
        return outcome
    }

    /// Whether several ranks can be started.
    static let canRunRanks = Subprocess.hasMPI
    static let noRanks: Comment = "mpirun is not installed"

    /// Whether this processor runs the kernels of x86-64-v4, by what its own system says.
    static let hasAVX512: Bool = {
        let lines = ((try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "").split(separator: "\n")
        let flags = Set(lines.first { $0.hasPrefix("flags") }?.split(separator: " ").map(String.init) ?? [])
        return flags.isSuperset(of: ["avx512f", "avx512vl", "avx512dq", "avx512bw"])
    }()
}

/// A folder that goes with the test that made it.
final class TestFolder {
    let path: String

    init() throws { path = try Subprocess.temporaryFolder().path }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of something in it.
    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ text: String, to name: String) throws -> String {
        try text.write(toFile: self(name), atomically: false, encoding: .utf8)
        return self(name)
    }

    /// A synthetic ICVL data set of 64x48 frames in it.
    func dataSet(_ name: String = "data", frames: Int = 60, testFrames: Int = 10) throws -> String {
        let outcome = try Dtrain.run([
            "synth", self(name), "--frames", "\(frames)", "--test-frames", "\(testFrames)", "--image-size", "64x48",
            "--seed", "3",
        ])
        try #require(outcome.status == 0, "\(outcome)")
        return self(name)
    }

    /// What lies below a folder: contents by relative path, of links their destination.
    func contents(_ name: String) throws -> [String: Data] {
        var result: [String: Data] = [:]
        for item in try FileManager.default.subpathsOfDirectory(atPath: self(name)) {
            let full = "\(self(name))/\(item)"
            if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: full) {
                result[item] = Data("-> \(target)".utf8)
            } else {
                var isDirectory: ObjCBool = false
                _ = FileManager.default.fileExists(atPath: full, isDirectory: &isDirectory)
                if !isDirectory.boolValue { result[item] = try Data(contentsOf: URL(fileURLWithPath: full)) }
            }
        }
        return result
    }
}

/// The lines of a run's metrics.jsonl.
struct Metrics {
    let lines: [[String: Any]]

    init(run: String) throws {
        let text = try String(contentsOfFile: "\(run)/metrics.jsonl", encoding: .utf8)
        lines = try text.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        }
        #expect(text.isEmpty || text.hasSuffix("\n"))
    }

    /// The lines of training steps, in order.
    var steps: [[String: Any]] { lines.filter { $0["loss"] != nil } }

    func numbers(_ key: String) -> [Double] { steps.compactMap { ($0[key] as? NSNumber)?.doubleValue } }

    var losses: [Double] { numbers("loss") }
}

/// Expects two series to be of one length and to agree to `tolerance`, relative.
func expectAgreement(
    _ series: [Double], _ reference: [Double], tolerance: Double, _ comment: Comment = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(series.count == reference.count && !reference.isEmpty, comment, sourceLocation: sourceLocation)
    for (step, (value, expected)) in zip(series, reference).enumerated() {
        #expect(
            abs(value - expected) <= tolerance * abs(expected), "\(comment) step \(step + 1): \(value), \(expected)",
            sourceLocation: sourceLocation)
    }
}
