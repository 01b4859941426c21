import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// The question's program, and its cure.
    @Suite struct CollapseTests {
        private let folder = try! TestFolder()

        private func warnings(_ outcome: Subprocess.Outcome) -> [String] {
            outcome.lines.filter { $0.hasPrefix("warning: step ") }
        }

        /// Large initial weights and raw depth drive the outputs far off; Adam pulls them all below zero, and there they stay.
        @Test func theQuestionsProgramIsToldOnceWithItsCure() throws {
            let outcome = try Dtrain.train(
                ["--preset", "seed-verbatim", "--batch-size", "50", "--learning-rate", "1e-3", "--steps", "200"],
                into: folder("run"))
            let told = warnings(outcome).filter { $0.contains("of the outputs are exactly 0") && $0.contains("--output linear") }
            #expect(told.count { $0.contains("nothing is learned while this lasts") } == 1, "\(outcome.stdout)")
            #expect(told.count { $0.contains("they do not learn") } <= 1)

            // What the loss of an all-zero network is: the mean squared label.
            let collapsed = try Metrics(run: folder("run")).steps.filter { $0["zero_output_share"] as? Double == 1 }
            #expect(collapsed.count > 10)
            for line in collapsed {
                #expect(line["output_gradient_norm"] as? Double == 0)
                #expect(line["loss"] as? Double == line["mean_squared_label"] as? Double)
            }
        }

        @Test(arguments: [1, 2]) func aHealthyRunIsNotWarned(ranks: Int) throws {
            guard ranks == 1 || Dtrain.canRunRanks else { return }
            let outcome = try Dtrain.train(["--steps", "60"], into: folder("run"), ranks: ranks)
            #expect(warnings(outcome) == [])
        }

        @Test func aLossThatIsNotFiniteStopsTheRun() throws {
            let outcome = try Dtrain.run(
                Dtrain.small + [
                    "--output", "exp", "--learning-rate", "1e4", "--steps", "200", "--run-dir", folder("run"),
                    "--checkpoint-every", "1",
                ])
            #expect(outcome.status == 1)
            #expect(outcome.stderr.contains(/dtrain: step \d+: the loss is (nan|inf|-nan); nothing was updated/))
            #expect(outcome.stderr.contains("hint: "))
        }
    }
}
