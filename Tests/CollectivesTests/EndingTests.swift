import Foundation
import Testing
import TestSupport

/// How a job of several processes ends when something is wrong.
@Suite(.serialized, .enabled(if: Subprocess.hasMPI, "mpirun is not installed"))
struct EndingTests {
    private let probe = Subprocess.product("mpi-probe")

    private func complaints(_ outcome: Subprocess.Outcome) -> [String] {
        outcome.stderr.split(separator: "\n").map(String.init).filter { $0.hasPrefix("mpi-probe: error:") }
    }

    @Test func agreedFailureIsPrintedOnceAndEndsAll() throws {
        let outcome = try Subprocess.mpirun(ranks: 4, [probe, "agree", "1", "3"])
        #expect(outcome.status == 2)
        #expect(
            complaints(outcome) == [
                "mpi-probe: error: rank 1: rank 1 has no data", "mpi-probe: error: rank 3: rank 3 has no data",
            ])
        #expect(outcome.seconds < 15)
        #expect(!outcome.stderr.contains("finalize"))
    }

    @Test func noFailureIsAgreedUponInSilence() throws {
        let outcome = try Subprocess.mpirun(ranks: 3, [probe, "agree"])
        #expect(outcome.status == 0)
        #expect(outcome.stdout == "" && outcome.stderr == "")
    }

    @Test func aRankThatDiesEndsAll() throws {
        let outcome = try Subprocess.mpirun(ranks: 3, [probe, "die", "1"])
        #expect(outcome.status != 0)
        #expect(outcome.seconds < 10)
        #expect(outcome.stderr.contains("rank 1"))
    }

    @Test func abortEndsAllWithItsCode() throws {
        let outcome = try Subprocess.mpirun(ranks: 3, [probe, "abort", "2", "7"])
        #expect(outcome.status == 7)
        #expect(outcome.seconds < 10)
    }

    @Test func ranksThatDisagreeOnALengthAreTold() throws {
        let outcome = try Subprocess.mpirun(ranks: 2, [probe, "disagree"])
        #expect(outcome.status == 2)
        let lines = complaints(outcome)
        #expect(lines.count == 1)
        #expect(lines.first?.contains("MPI_Irecv failed on rank 1") == true)
        #expect(lines.first?.contains("hint: ranks disagree on a length") == true)
    }

    @Test(arguments: ["differ", "differ-few"]) func ranksThatSumDifferentNumbersAreTold(how: String) throws {
        let outcome = try Subprocess.mpirun(ranks: 2, [probe, how])
        #expect(outcome.status == 2)
        #expect(complaints(outcome).allSatisfy { $0.contains("ranks entered different collectives") && $0.contains("hint: ") })
        #expect(!complaints(outcome).isEmpty)
    }

    @Test func waitingRanksLeaveTheCoresAlone() throws {
        struct Waited: Decodable {
            let rank: Double
            let processorSeconds: Double
        }
        let outcome = try Subprocess.mpirun(ranks: 4, [probe, "wait", "2"])
        let waited = try outcome.lines.map { try JSONDecoder().decode(Waited.self, from: Data($0.utf8)) }
        #expect(waited.count == 4)
        // Polling would take the whole 2 s. A tenth leaves room for a slow machine.
        #expect(waited.allSatisfy { $0.processorSeconds < 0.2 })
    }

    @Test(arguments: [
        (["PMI_SIZE": "4", "PMI_RANK": "0", "MPI_LOCALNRANKS": "4"], "MPICH's or Intel MPI's mpiexec"),
        (["SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"], "srun --mpi=pmix"),
        (["OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0"], "Open MPI's mpirun"),
    ])
    func processesThatDoNotFindEachOtherAreRefused(environment: [String: String], text: String) throws {
        let outcome = try Subprocess.run([probe, "agree"], environment: environment.mapValues { $0 }, timeout: 20)
        #expect(outcome.status == 2)
        let lines = complaints(outcome)
        #expect(lines.count == 1)
        #expect(lines.first?.contains(text) == true)
        #expect(lines.first?.contains("4 processes") == true)
    }

    @Test func onlyOneOfThemSpeaks() throws {
        let outcome = try Subprocess.run(
            [probe, "agree"], environment: ["PMI_SIZE": "4", "PMI_RANK": "3"], timeout: 20)
        #expect(outcome.status == 2)
        #expect(outcome.stderr == "")
    }
}
