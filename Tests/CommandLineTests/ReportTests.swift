import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// The pages of real runs.
    @Suite struct ReportTests {
        private let folder = try! TestFolder()

        private func page(_ name: String) throws -> String { try String(contentsOfFile: folder(name), encoding: .utf8) }

        @Test func aRunWritesItsPageAndSoDoesTheSubcommandAfterIt() throws {
            let outcome = try Dtrain.train(["--steps", "6", "--validate-every", "2", "--report"], into: folder("run"))
            #expect(outcome.lines.last == "report: \(folder("run"))/report.html")
            let first = try page("run/report.html")
            #expect(
                first.contains("On 20 held-out frames (validation split), a joint is ") && first.contains("step 6 of 6")
                    && first.contains("ended: done"))
            #expect(first.contains("step-00000006"))
            let later = try Dtrain.run(["report", folder("run"), "--output", folder("other.html")])
            #expect(later.status == 0 && later.stderr == "" && later.stdout.hasPrefix("\(folder("other.html")): "))
            #expect(try page("other.html") == first)
        }

        @Test func warningsStandInThePageWithTheirCures() throws {
            let outcome = try Dtrain.run(Dtrain.small + ["--preset", "seed-verbatim", "--steps", "30", "--run-dir", folder("run"), "--report"])
            let warning = try #require(outcome.lines.first { $0.hasPrefix("warning: step ") })
            let words = try #require(warning.dropFirst(9).split(separator: "; hint: ").first)
            let page = try page("run/report.html")
            #expect(page.contains(words) && page.contains("<em>Cure: --output linear"))
        }

        @Test func whatCannotBeShownIsOneLine() throws {
            for (arguments, words) in [([folder("none")], "No such file"), ([folder.path], "is no run directory")] {
                let outcome = try Dtrain.run(["report"] + arguments)
                #expect(outcome.status == 1 && outcome.stdout == "")
                #expect(outcome.stderr.contains(words) && outcome.stderr.contains("; hint: ") && outcome.stderr.split(separator: "\n").count == 1)
            }
            #expect(try Dtrain.run(["report"]).status == 64)
        }
    }
}
