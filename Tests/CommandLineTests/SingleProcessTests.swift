import Foundation
import Testing
import TestSupport

extension CommandLineTests {
    /// `dtrain` without mpirun is one process that needs no MPI.
    @Suite struct SingleProcessTests {
        private let folder = try! TestFolder()

        /// What a process holds while it trains.
        private struct Holdings {
            var children: [String] = []
            var sockets = 0
            var sessions: [String] = []
        }

        /// Starts a training that does not end by itself, looks at it once it trains, and kills it.
        private func look(_ launch: [String], at run: String) throws -> Holdings {
            let temporary = folder("tmp")
            try? FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: true)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = launch + [Dtrain.path] + Dtrain.small + ["--steps", "1000000000", "--run-dir", run]
            process.environment = ProcessInfo.processInfo.environment.merging([
                "TMPDIR": temporary, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            ]) { $1 }
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            defer {
                // Not SIGTERM: Foundation may start a process with that signal blocked. mpirun ends when its ranks do.
                let victims = launch.isEmpty ? [process.processIdentifier] : (try? children(of: process.processIdentifier)) ?? []
                for victim in victims { kill(victim, SIGKILL) }
                process.waitUntilExit()
            }
            let deadline = ProcessInfo.processInfo.systemUptime + 30
            while (try? Metrics(run: run).steps.count > 3) != true {
                try #require(process.isRunning && ProcessInfo.processInfo.systemUptime < deadline)
                usleep(20_000)
            }
            // Under mpirun the training is the child of its child; alone it is the process itself, as env(1) becomes it.
            var trainer = process.processIdentifier
            if !launch.isEmpty {
                let supervisor = try #require(try children(of: trainer).first)
                trainer = try #require(try children(of: supervisor).first)
            }
            let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(trainer)/fd")
            return Holdings(
                children: try children(of: trainer).map { try String(contentsOfFile: "/proc/\($0)/comm", encoding: .utf8) },
                sockets: descriptors.count {
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(trainer)/fd/\($0)"))?
                        .hasPrefix("socket:") == true
                },
                sessions: try FileManager.default.contentsOfDirectory(atPath: temporary).filter { $0.hasPrefix("ompi.") })
        }

        private func children(of process: Int32) throws -> [Int32] {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").flatMap { thread in
                ((try? String(contentsOfFile: "/proc/\(process)/task/\(thread)/children", encoding: .utf8)) ?? "")
                    .split(separator: " ").compactMap { Int32($0) }
            }
        }

        @Test func noDaemonNoSocketNoSession() throws {
            let alone = try look([], at: folder("alone"))
            #expect(alone.children == [] && alone.sessions == [])
            // Foundation gives one to every process it starts.
            #expect(alone.sockets <= 1)
        }

        /// The same look does see MPI where there is some.
        @Test(.enabled(if: Dtrain.canRunRanks, Dtrain.noRanks)) func underMPIThereAreBoth() throws {
            let ranked = try look(["mpirun", "--oversubscribe", "--bind-to", "none", "-np", "2"], at: folder("ranked"))
            #expect(ranked.sockets > 1)
            #expect(ranked.sessions.count == 1)
        }
    }
}
