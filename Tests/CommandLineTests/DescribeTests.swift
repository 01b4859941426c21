import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    @Suite struct DescribeTests {
        private static func describe(_ arguments: [String]) throws -> String {
            let outcome = try Dtrain.run(["describe"] + arguments)
            try #require(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
            return outcome.stdout
        }

        @Test func theLayersAreListedWithAnExample() throws {
            let text = try Self.describe(["--layers"])
            #expect(text.contains(/convolution\n  members: channels, kernel \(3\), [^\n]*\n  gives: [^\n]+\n  example: convolution: \{/))
            let list = try JSONSerialization.jsonObject(with: Data(try Self.describe(["--layers", "--json"]).utf8))
            let layers = try #require(list as? [[String: Any]])
            let kinds = layers.compactMap { $0["kind"] as? String }
            #expect(Set(kinds).isSuperset(of: ["convolution", "dense", "soft-argmax", "window-stem"]) && kinds.count == layers.count)
            // People and programs are told of the same.
            #expect(kinds.allSatisfy { text.contains("\n\($0)\n") || text.hasPrefix("\($0)\n") })
        }

        /// A preset written as a file is the preset.
        @Test(arguments: ["deepprior", "ren", "dense", "dtrain-hand"]) func aPresetIsWrittenAsAFile(preset: String) throws {
            let folder = try TestFolder()
            try Self.describe(["--preset", preset, "--yaml"]).write(toFile: folder("net.yaml"), atomically: false, encoding: .utf8)
            func summary(_ arguments: [String]) throws -> NSDictionary {
                let text = try Self.describe(arguments + ["--preset", preset, "--no-prediction", "--json"])
                let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
                return object.filter { $0.key != "network" } as NSDictionary
            }
            let own = try summary([])
            #expect(try summary(["--network", folder("net.yaml")]) == own && own.count > 3)
        }

        @Test func wholeFramesAreNoFile() throws {
            for arguments in [["--yaml"], ["--preset", "dense", "--yaml", "--json"]] {
                let outcome = try Dtrain.run(["describe"] + arguments)
                #expect(outcome.status == 64 && outcome.stderr.contains("hint: ") && outcome.stdout == "", "\(outcome)")
            }
        }

        @Test func aNetworkIsDescribedForPeopleAndPrograms() throws {
            let arguments = ["--preset", "dense", "--ranks", "8", "--no-prediction"]
            let text = try Self.describe(arguments)
            #expect(text.hasPrefix("dense: input 96x96, 8 ranks, global batch 32"))
            #expect(text.contains("sent by a rank in a step") && text.contains("memory of a rank"))
            let object = try JSONSerialization.jsonObject(with: Data(try Self.describe(arguments + ["--json"]).utf8))
            let summary = try #require(object as? [String: Any])
            #expect((summary["layers"] as? [Any])?.isEmpty == false)
            #expect((summary["parameters"] as? NSNumber)?.intValue == 1_369_728)
        }
    }
}
