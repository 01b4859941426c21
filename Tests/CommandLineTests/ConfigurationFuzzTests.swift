import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// Damaged `--config` files, by the shipped program: it says what is wrong in one line, and neither crashes nor hangs.
    @Suite struct ConfigurationFuzzTests {
        /// A process a mutation, so fewer than of the other formats: DTRAIN_FUZZ_ROUNDS, 150 unless told.
        private static let rounds = ProcessInfo.processInfo.environment["DTRAIN_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 150

        private let folder = try! TestFolder()

        /// SplitMix64: the same rounds on every run.
        private struct Generator: RandomNumberGenerator {
            var state: UInt64
            mutating func next() -> UInt64 {
                state &+= 0x9E37_79B9_7F4A_7C15
                var z = state
                z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
                z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
                return z ^ (z >> 31)
            }
        }

        private static let dictionary = [
            "&a ", "*a", "!!binary ", "? ", "- ", "[", "{", "]", "}", ": ", "\n", "\t", "|", ">", "%YAML 9.9\n", "---\n", "...\n", "\"", "'",
            "<<: *a\n", "\u{FEFF}", "\0", "~", ".nan", ".inf", "0x7fffffffffffffff", "1e400", "12:30:45", "steps: ",
            String(repeating: "[", count: 2000), String(repeating: "a: {", count: 500), String(repeating: "9", count: 400),
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n",
        ].map { Array($0.utf8) }

        private static func mutate(_ original: [UInt8], _ random: inout Generator) -> [UInt8] {
            var bytes = original
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                let place = Int.random(in: 0...bytes.count, using: &random)
                let length = min(Int.random(in: 0..<64, using: &random), bytes.count - place)
                switch Int.random(in: 0..<6, using: &random) {
                case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes.removeLast(bytes.count - place)
                case 2: bytes.removeSubrange(place..<place + length)
                case 3: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
                default: bytes.insert(contentsOf: dictionary.randomElement(using: &random)!, at: place)
                }
            }
            return bytes
        }

        @Test func damagedFilesAreRefusedInOneLine() throws {
            try Dtrain.train(["--steps", "1"], into: folder("run"))
            let original = Array(try #require(try folder.contents("run")["config.yaml"]))
            var random = Generator(state: 5)
            var refused = 0
            for round in 0..<Self.rounds {
                let bytes = Self.mutate(original, &random)
                try Data(bytes).write(to: URL(fileURLWithPath: folder("fuzz.yaml")))
                // Where the file passes, this flag does not: nothing is ever trained. 4 GB bound what reading may take.
                let outcome = try Subprocess.run(
                    ["sh", "-c", "ulimit -v 4000000; exec \"$@\"", "sh", Dtrain.path, "--config", folder("fuzz.yaml"), "--pool", "3"],
                    timeout: 20)
                let comment: Comment = "round \(round): \(outcome) \(String(decoding: bytes.prefix(3000), as: UTF8.self))"
                #expect(outcome.status == 64 && !outcome.timedOut && outcome.seconds < 10, comment)
                #expect(outcome.stderr.split(separator: "\n").count == 1 && outcome.stderr.contains("hint: "), comment)
                if !outcome.stderr.contains("--pool is 3") { refused += 1 }
            }
            #expect(refused > Self.rounds / 4, "many mutations must do damage, or this test tests nothing")
        }
    }
}
