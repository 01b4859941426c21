package import Foundation

/// Runs other programs from tests.
package enum Subprocess {
    /// What a program left behind.
    package struct Outcome: Sendable {
        /// The exit code; 128 + the signal's number where a signal ended it, as shells count.
        package let status: Int32
        package let stdout: String
        package let stderr: String
        /// Whether it was killed for taking longer than allowed.
        package let timedOut: Bool
        /// How long it ran, in seconds.
        package let seconds: Double

        /// The lines of the standard output that are not empty.
        package var lines: [String] { stdout.split(separator: "\n").map(String.init) }
    }

    /// Runs a program to its end and collects what it writes.
    ///
    /// The output goes through files, so that neither a full pipe nor a grandchild that keeps it open can hang the
    /// test.
    /// - Parameters:
    ///   - arguments: the program (a path, or a name to be found in PATH) and its arguments.
    ///   - environment: variables added to this process's own; nil removes one.
    ///   - timeout: seconds until it gets SIGTERM; two seconds later SIGKILL.
    package static func run(
        _ arguments: [String], environment: [String: String?] = [:], directory: String? = nil, timeout: Double = 60
    ) throws -> Outcome {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let outputs = ["stdout", "stderr"].map { folder.appendingPathComponent($0) }
        for output in outputs { try Data().write(to: output) }

        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment
            .merging(launcherEnvironment(in: folder.path)) { $1 }
            .merging(environment.compactMapValues { $0 }) { $1 }
            .filter { !environment.keys.contains($0.key) || environment[$0.key]! != nil }
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: outputs[0])
        process.standardError = try FileHandle(forWritingTo: outputs[1])

        let start = ProcessInfo.processInfo.systemUptime
        func elapsed() -> Double { ProcessInfo.processInfo.systemUptime - start }
        try process.run()
        while process.isRunning && elapsed() < timeout { usleep(5000) }
        let timedOut = process.isRunning
        if timedOut {
            process.terminate()
            while process.isRunning && elapsed() < timeout + 2 { usleep(5000) }
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        }
        process.waitUntilExit()
        let seconds = elapsed()
        let texts = try outputs.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
        let wasSignalled = process.terminationReason == .uncaughtSignal
        return Outcome(
            status: process.terminationStatus + (wasSignalled ? 128 : 0), stdout: texts[0], stderr: texts[1],
            timedOut: timedOut, seconds: seconds)
    }

    /// Runs a program on several ranks by `mpirun`, which also ends it itself after `timeout` seconds.
    ///
    /// Works in containers as root, and with more ranks than cores.
    package static func mpirun(
        ranks: Int, _ arguments: [String], environment: [String: String?] = [:], directory: String? = nil,
        options: [String] = [], timeout: Int = 60
    ) throws -> Outcome {
        let launch = ["mpirun", "--oversubscribe", "--bind-to", "none", "--timeout", "\(timeout)", "-np", "\(ranks)"]
        let standard: [String: String?] = ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"]
        return try run(
            launch + options + arguments, environment: standard.merging(environment) { $1 }, directory: directory,
            timeout: Double(timeout) + 5)
    }

    /// What every `mpirun` of a test needs: of two that start at the same moment in one directory one may fail ("mkdir ... File
    /// exists"), so each has a directory of its own.
    package static func launcherEnvironment(in folder: String) -> [String: String] {
        ["OMPI_MCA_orte_tmpdir_base": "\(folder)/mpi"]
    }

    /// Whether `mpirun` is installed.
    package static var hasMPI: Bool {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/mpirun")
        }
    }

    /// The path of an executable of this package, of the same build as the running tests.
    package static func product(_ name: String) -> String {
        let tests =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// The folder with the real label files: `DTRAIN_SHARED`, or `shared` beside the package; nil where there is none.
    package static var sharedFolder: String? {
        let package = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let path =
            ProcessInfo.processInfo.environment["DTRAIN_SHARED"]
            ?? package.deletingLastPathComponent().appendingPathComponent("shared").path
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }

    /// A new, empty folder. The caller removes it.
    package static func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("dtrain-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }
}
