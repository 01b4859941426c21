import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// `--trace` of real runs.
    @Suite struct TraceTests {
        private let folder = try! TestFolder()

        private struct Span {
            let name: String
            let start, end: Double
        }

        /// Spans by rank and thread, the outer before the inner.
        private func spans(_ run: String) throws -> [Int: [Int: [Span]]] {
            let data = try Data(contentsOf: URL(fileURLWithPath: "\(run)/trace.json"))
            let document = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            var spans: [Int: [Int: [Span]]] = [:]
            for event in try #require(document["traceEvents"] as? [[String: Any]]) where event["ph"] as? String == "X" {
                func number(_ name: String) -> Double { (event[name] as? NSNumber)?.doubleValue ?? .nan }
                let span = Span(name: event["name"] as? String ?? "", start: number("ts"), end: number("ts") + number("dur"))
                #expect(span.end >= span.start && !span.name.isEmpty)
                spans[Int(number("pid")), default: [:]][Int(number("tid")), default: []].append(span)
            }
            return spans.mapValues { $0.mapValues { $0.sorted { ($0.start, -$0.end) < ($1.start, -$1.end) } } }
        }

        /// Times are written to a thousandth of a microsecond.
        private let rounding = 0.002

        /// What lies right below each step; expects spans to lie within one another or apart.
        private func children(_ spans: [Span]) -> [String: [Span]] {
            var (open, result): ([Span], [String: [Span]]) = ([], [:])
            for span in spans {
                while let last = open.last, last.end <= span.start + rounding { open.removeLast() }
                if let last = open.last { #expect(span.end <= last.end + rounding, "\(span) is not within \(last)") }
                if open.count == 1 { result[open[0].name, default: []].append(span) }
                open.append(span)
            }
            return result
        }

        @Test(arguments: [(1, "auto"), (1, "stored"), (2, "auto"), (2, "stored")])
        func spansNestAndAddUpToTheStep(ranks: Int, update: String) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            try Dtrain.train(
                [
                    "--image-size", "160x120", "--hidden", "256", "--batch-size", "32", "--threads", "2", "--steps", "14", "--trace", "6-12",
                    "--update", update,
                ],
                into: folder("run"), ranks: ranks)
            let traced = try spans(folder("run"))
            #expect(Set(traced.keys) == Set(0..<ranks))
            for (_, threads) in traced {
                for (_, spans) in threads { _ = children(spans) }
                let training = try #require(threads[0])
                #expect(training.filter { $0.name.hasPrefix("step ") }.map(\.name) == (6...12).map { "step \($0)" })
                for name in [
                    "wait for data", "forward", "forward window-stem", "backward window-stem", "forward FC1", "backward", "wait for ranks",
                    "loss and errors",
                ] {
                    #expect(training.contains { $0.name == name }, "\(name): \(Set(training.map(\.name)))")
                }
                #expect(
                    training.contains { $0.name == "exchange" } == (ranks > 1) && training.contains { $0.name == "update" } == (update == "stored"))
                #expect(threads[1] != nil && threads.keys.contains { $0 >= 1000 })
            }
            let steps = try Metrics(run: folder("run")).numbers("step_ms")[5..<12]
            let sums = children(try #require(traced[0]?[0])).values.map { $0.reduce(0) { $0 + ($1.end - $1.start) / 1000 } }
            #expect(sums.count == 7)
            let (sum, total) = (sums.reduce(0, +), steps.reduce(0, +))
            #expect(abs(sum - total) < 0.05 * total, "\(sum) ms in spans, \(total) ms in steps")
        }

        @Test func aRunThatIsAskedToStopWritesWhatThereIs() throws {
            let outcome = try Subprocess.run(
                [
                    "timeout", "--preserve-status", "-s", "TERM", "2", Dtrain.path, "--image-size", "160x120", "--hidden", "256",
                    "--batch-size", "64", "--steps", "100000", "--trace", "1000", "--validate-every", "100000",
                    "--synthetic-frames", "200", "--synthetic-test-frames", "10", "--run-dir", folder("run"),
                ])
            #expect(outcome.status == 75, "\(outcome)")
            let steps = try #require(try spans(folder("run"))[0]?[0]).filter { $0.name.hasPrefix("step ") }.map(\.name)
            #expect(steps.count > 1 && steps == (4..<4 + steps.count).map { "step \($0)" })
        }

        @Test func aCountIsTracedAfterThreeStepsAndARunThatEndsBeforeWritesWhatThereIs() throws {
            try Dtrain.train(["--steps", "6", "--trace", "10"], into: folder("run"))
            let steps = try #require(try spans(folder("run"))[0]?[0]).filter { $0.name.hasPrefix("step ") }.map(\.name)
            #expect(steps == ["step 4", "step 5", "step 6"])
            try Dtrain.train(["--steps", "3"], into: folder("plain"))
            #expect(!FileManager.default.fileExists(atPath: folder("plain/trace.json")))
            let refused = try Dtrain.run(["--trace", "9-3", "--run-dir", folder("none")])
            #expect(refused.status == 64 && refused.stderr.contains("--trace is '9-3'; hint: "), "\(refused)")
        }
    }
}
