import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// `dtrain doctor`, of machines and of data.
    @Suite(.serialized) struct DoctorTests {
        private let folder = try! TestFolder()

        @Test func eachLineOfTheMachineHasASeverityAndACure() throws {
            let outcome = try Dtrain.run(["doctor", "--runs", folder.path], environment: ["OPENBLAS_CORETYPE": nil])
            #expect(outcome.status == 0 || outcome.stdout.contains("problem  "), "\(outcome)")
            let lines = outcome.stdout.split(separator: "\n").map(String.init)
            for subject in ["launcher", "processors", "BLAS", "memory", "huge pages", "/dev/shm", "disk", "networks", "ports"] {
                #expect(lines.contains { $0.contains(#/^(OK      |note    |problem ) /#) && $0.dropFirst(9).hasPrefix("\(subject): ") }, "\(subject)")
            }
            for line in lines where !line.hasPrefix("OK") { #expect(line.contains("; hint: "), "\(line)") }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [], "the disk's probe is gone")
        }

        @Test func aDirectoryThatIsNotThereIsAProblem() throws {
            let outcome = try Dtrain.run(["doctor", "--runs", folder("nowhere")])
            #expect(outcome.status == 1)
            #expect(outcome.stdout.contains("problem  disk: \(folder("nowhere")): No such file or directory; hint: "), "\(outcome)")
        }

        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func underMPIEveryNodeIsLookedAtOnce() throws {
            // Two ranks that take each other for another node.
            let outcome = try Dtrain.run(
                ["doctor", "--runs", folder.path], ranks: 2, environment: ["DTRAIN_RANKS_PER_NODE": "1"])
            #expect(outcome.stdout.contains("launcher: Open MPI's mpirun started 2 ranks on 2 nodes"), "\(outcome)")
            #expect(outcome.stdout.ranges(of: "processors: ").count == 2 && outcome.stdout.ranges(of: "disk: ").count == 1)
            #expect(outcome.stdout.contains("clocks: the nodes' clocks differ by at most 0."))
        }

        @Test func dataIsLookedAtWithoutTraining() throws {
            let data = try folder.dataSet(frames: 2100, testFrames: 60)
            let healthy = try Dtrain.run(["doctor", "--data", data])
            #expect(healthy.status == 0 && !healthy.stdout.contains("problem  "), "\(healthy)")

            // Labels of other frames, as sorting a column of a table does it.
            let file = "\(data)/Training/labels.txt"
            let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map { $0.split(separator: " ") }
            let shuffled = lines.indices.map { index in
                ([lines[index][0]] + lines[(index * 37 + 500) % lines.count].dropFirst()).joined(separator: " ")
            }
            try (shuffled.joined(separator: "\n") + "\n").write(toFile: file, atomically: false, encoding: .utf8)
            let outcome = try Dtrain.run(["doctor", "--data", data])
            #expect(outcome.status == 1)
            #expect(outcome.stdout.contains(#/problem  labels and frames: .*labels and frames are shuffled; hint: /#), "\(outcome)")
            // Training tells the same before its first step, once.
            let training = try Dtrain.run(["--data", data, "--hidden", "16", "--steps", "1", "--run-dir", folder("run")])
            #expect(training.lines.count { $0.hasPrefix("warning: ") && $0.contains("labels and frames are shuffled") } == 1, "\(training)")
        }

        @Test func whatIsNoDataSetIsOneLine() throws {
            let outcome = try Dtrain.run(["doctor", "--data", folder.path])
            #expect(outcome.status == 1 && outcome.stdout == "" && outcome.stderr.contains("; hint: "), "\(outcome)")
        }
    }
}
