import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// The help texts, as they were looked at. `DTRAIN_UPDATE_SNAPSHOTS=1 swift test` writes them anew.
    @Suite struct HelpTests {
        private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Snapshots")

        private static func help(_ arguments: [String]) throws -> Subprocess.Outcome {
            try Dtrain.run(arguments + ["--help"], environment: ["COLUMNS": nil, "LINES": nil])
        }

        /// `dtrain` and all its subcommands, as the helps list them, so that a new one is not forgotten.
        static let commands = commands(below: [])

        private static func commands(below path: [String]) -> [[String]] {
            let text = (try? help(path).stdout) ?? ""
            let list = text.firstMatch(of: /SUBCOMMANDS:\n((?:  [^\n]*\n)*)/).map { String($0.1) } ?? ""
            let names = list.matches(of: /(?m)^  ([a-z-]+)/).map { String($0.1) }
            return [path] + names.flatMap { commands(below: path + [$0]) }
        }

        @Test func theSubcommandsAreFound() {
            #expect(Set(Self.commands).isSuperset(of: [[], ["train"], ["synth"], ["inspect"], ["bench", "step"]]))
        }

        @Test(arguments: commands) func textIsAsItWas(command: [String]) throws {
            let outcome = try Self.help(command)
            #expect(outcome.status == 0 && outcome.stderr == "")
            #expect(outcome.stdout.contains(/\nEXAMPLES?\n +(mpirun -np \d+ )?dtrain [a-z-]/), "every help has an example")
            let file = Self.folder.appendingPathComponent("\((["dtrain"] + command).joined(separator: "-")).txt")
            if DocumentedTable.isUpdating { try outcome.stdout.write(to: file, atomically: true, encoding: .utf8) }
            let expected = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
            #expect(
                outcome.stdout == expected,
                "look at the difference; if it is meant: DTRAIN_UPDATE_SNAPSHOTS=1 swift test -c release --filter HelpTests")
        }

        @Test func noSnapshotIsLeftOver() throws {
            let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
            #expect(Set(files) == Set(Self.commands.map { (["dtrain"] + $0).joined(separator: "-") + ".txt" }))
        }

        @Test func everyOptionIsExplained() throws {
            for command in Self.commands {
                let text = try Self.help(command).stdout
                // An option, then on its line or the next its explanation.
                for option in text.matches(of: /\n  (--[a-z0-9-]+[^\n]*)\n([^\n]*)/) {
                    let (line, next) = (option.1, option.2)
                    #expect(line.contains(/\S +[A-Z]\S/) || next.hasPrefix("          "), "\(command) \(line)")
                }
            }
        }

        @Test func versionIsPrinted() throws {
            #expect(try Dtrain.run(["--version"]).stdout.contains(/^\d+\.\d+\.\d+\n$/))
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func underMPIOneRankAnswers() throws {
            let outcome = try Dtrain.run(["train", "--help"], ranks: 3, environment: ["COLUMNS": nil])
            #expect(outcome.status == 0)
            #expect(outcome.stdout.ranges(of: "OVERVIEW:").count == 1)
        }
    }
}
