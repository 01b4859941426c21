import Testing
import TestSupport

extension CommandLineTests {
    /// OPENBLAS_CORETYPE of another processor, as a module on a mixed cluster may set it.
    @Suite struct CoreTypeTests {
        private let folder = try! TestFolder()

        /// Names that no processor of x86-64-v3 or later can run, and names it may.
        @Test(arguments: ["Opteron", "Excavator", "SkylakeX", "Cooperlake", "Haswell", "Foo"])
        func kernelsThatTheProcessorLacksAreRefusedInOneLine(name: String) throws {
            let outcome = try Dtrain.run(
                Dtrain.small + ["--steps", "2", "--run-dir", folder("run")], environment: ["OPENBLAS_CORETYPE": name])
            let lines = outcome.stderr.split(separator: "\n")
            #expect(lines.count <= 1, "\(outcome)")
            if outcome.status != 0 {
                #expect(outcome.status == 1 && lines.first?.hasPrefix("dtrain: OPENBLAS_CORETYPE=\(name) asks for") == true)
                #expect(lines.first?.contains("hint: unset OPENBLAS_CORETYPE") == true)
            } else if let line = lines.first {
                #expect(line.hasPrefix("dtrain: note: OPENBLAS_CORETYPE=\(name) is not a core"))
            }
            // OpenBLAS takes no name that it does not know.
            if name == "Foo" { #expect(outcome.status == 0 && lines.count == 1, "\(outcome)") }
        }

        /// An OpenBLAS that does not know this processor: it says it runs the plainest kernels, unless it is told which to run.
        /// The start anew leaves the pipe of the configuration as it was.
        @Test(.enabled(if: hasCompiler, "needs cc"))
        func aProcessorThatOpenBLASDoesNotKnowGetsKernelsThatFit() throws {
            let source = try folder.write(
                """
                #include <stdlib.h>
                const char *openblas_get_corename(void) { const char *name = getenv("OPENBLAS_CORETYPE"); return name ? name : "Prescott"; }
                """, to: "core.c")
            let compiled = try Subprocess.run(["cc", "-shared", "-fPIC", "-o", folder("core.so"), source])
            try #require(compiled.status == 0, "\(compiled)")
            let outcome = try Subprocess.run(
                ["sh", "-c", "echo 'steps: 2' | \"$@\"", "sh", Dtrain.path] + Dtrain.small
                    + ["--config", "/dev/stdin", "--run-dir", folder("run")],
                environment: ["OPENBLAS_CORETYPE": nil, "LD_PRELOAD": folder("core.so")])
            #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
            #expect(outcome.stdout.contains(/OpenBLAS (SkylakeX|Haswell),/) && outcome.stdout.contains(", 2 steps"), "\(outcome)")
        }

        private static let hasCompiler = (try? Subprocess.run(["cc", "--version"]).status) == 0
    }
}
