import Foundation
import TestSupport
import Testing

extension CommandLineTests {
    /// The help texts, as they were looked at. `DTRAIN_UPDATE_SNAPSHOTS=1 swift test` writes them anew.
    @Suite struct HelpTests {
        private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Snapshots")
        private static let isUpdating = ProcessInfo.processInfo.environment["DTRAIN_UPDATE_SNAPSHOTS"] == "1"

        private static func help(_ arguments: [String]) throws -> Subprocess.Outcome {
            try Dtrain.run(arguments + ["--help"], environment: ["COLUMNS": nil, "LINES": nil])
        }

        /// As `dtrain --help` lists them, so that a new one is not forgotten.
        static let subcommands: [String] = {
            let text = (try? help([]).stdout) ?? ""
            guard let list = text.range(of: "SUBCOMMANDS:\n") else { return [] }
            return text[list.upperBound...].prefixMatch(of: /(  [a-z][^\n]*\n(   [^\n]*\n)*)*/).map { lines in
                lines.0.matches(of: /(?m)^  ([a-z-]+)/).map { String($0.1) }
            } ?? []
        }()

        @Test func theSubcommandsAreFound() {
            #expect(Set(Self.subcommands).isSuperset(of: ["train", "synth", "inspect"]))
        }

        @Test(arguments: [""] + subcommands) func textIsAsItWas(subcommand: String) throws {
            let outcome = try Self.help(subcommand.isEmpty ? [] : [subcommand])
            #expect(outcome.status == 0 && outcome.stderr == "")
            #expect(outcome.stdout.contains("EXAMPLES\n"), "every help has an example")
            #expect(outcome.stdout.contains(/\n +(mpirun -np \d+ )?dtrain [a-z-]/))
            let file = Self.folder.appendingPathComponent("\(subcommand.isEmpty ? "dtrain" : subcommand).txt")
            if Self.isUpdating { try outcome.stdout.write(to: file, atomically: true, encoding: .utf8) }
            let expected = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
            #expect(
                outcome.stdout == expected,
                "look at the difference; if it is meant: DTRAIN_UPDATE_SNAPSHOTS=1 swift test -c release --filter HelpTests")
        }

        @Test func everyOptionIsExplained() throws {
            for subcommand in Self.subcommands {
                let text = try Self.help([subcommand]).stdout
                // An option, then on its line or the next its explanation.
                for option in text.matches(of: /\n  (--[a-z-]+[^\n]*)\n([^\n]*)/) {
                    let (line, next) = (option.1, option.2)
                    #expect(line.contains(/\S +[A-Z]\S/) || next.hasPrefix("          "), "\(subcommand) \(line)")
                }
            }
        }

        @Test func versionIsPrinted() throws {
            #expect(try Dtrain.run(["--version"]).stdout.contains(/^\d+\.\d+\.\d+\n$/))
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func underMPIOneRankAnswers() throws {
            let outcome = try Dtrain.run(["inspect", "--help"], ranks: 3, environment: ["COLUMNS": nil])
            #expect(outcome.status == 0)
            #expect(outcome.stdout.ranges(of: "OVERVIEW:").count == 1)
        }
    }
}
