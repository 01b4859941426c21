import Collectives
import Testing

struct LauncherTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let environment: [String: String]
        let expected: Launcher
        var testDescription: String { name }

        init(_ name: String, _ environment: [String: String], _ kind: Launcher.Kind, _ size: Int?, _ rank: Int?) {
            self.name = name
            self.environment = environment
            expected = Launcher(kind: kind, size: size, rank: rank)
        }
    }

    @Test(arguments: [
        Case("a shell", ["HOME": "/root"], .alone, 1, 0),
        Case(
            "mpirun", ["OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3"], .openMPI, 4, 3),
        Case("mpirun of one", ["OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"], .openMPI, 1, 0),
        Case(
            "mpirun inside sbatch, on another node, where srun started its daemon",
            [
                "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "5", "PMIX_RANK": "5",
                "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "8",
            ], .openMPI, 8, 5),
        Case(
            "an sbatch script itself",
            ["SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_NPROCS": "8", "SLURM_PROCID": "0"], .alone, 1, 0),
        Case(
            "srun --mpi=pmix", ["PMIX_RANK": "2", "SLURM_STEP_NUM_TASKS": "6", "SLURM_PROCID": "2"], .pmix, 6, 2),
        Case("prun", ["PMIX_RANK": "2", "PMIX_NAMESPACE": "x"], .pmix, nil, 2),
        Case("flux with pmix", ["PMIX_RANK": "1", "FLUX_TASK_RANK": "1", "FLUX_JOB_SIZE": "3"], .pmix, 3, 1),
        Case("flux", ["FLUX_TASK_RANK": "1", "FLUX_JOB_SIZE": "3"], .flux, 3, 1),
        Case(
            "srun --mpi=pmi2",
            ["PMI_RANK": "1", "PMI_SIZE": "4", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "1"], .slurmPMI2, 4, 1),
        Case("srun --mpi=none", ["SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "1"], .slurm, 4, 1),
        Case("a shell by srun --pty", ["SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"], .slurm, 1, 0),
        Case(
            "MPICH's mpiexec", ["PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALNRANKS": "4", "MPI_LOCALRANKID": "3"],
            .hydra, 4, 3),
        Case(
            "MPICH's mpiexec inside sbatch",
            [
                "PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1",
                "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1",
            ], .hydra, 4, 3),
        Case("an old Hydra", ["MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1"], .hydra, 2, 1),
        Case("mpirun_rsh", ["MV2_COMM_WORLD_SIZE": "4", "MV2_COMM_WORLD_RANK": "2"], .mvapich, 4, 2),
        Case("nonsense", ["OMPI_COMM_WORLD_SIZE": "", "PMI_SIZE": "many", "PMIX_RANK": "-"], .alone, 1, 0),
    ])
    func detection(_ example: Case) {
        #expect(Launcher.detect(example.environment) == example.expected)
    }

    @Test func singleProcessNeedsNoMPI() {
        #expect(Launcher.detect([:]).isSingleProcess)
        #expect(Launcher.detect(["OMPI_COMM_WORLD_SIZE": "1"]).isSingleProcess)
        #expect(!Launcher.detect(["OMPI_COMM_WORLD_SIZE": "2"]).isSingleProcess)
        #expect(!Launcher.detect(["PMIX_RANK": "0"]).isSingleProcess)
    }

    @Test(arguments: [
        (Int?(4), Int?(0), 1, true), (4, 2, 1, true), (4, 2, 4, false), (1, 0, 1, false),
        // Where the size is unknown only a rank above 0 proves that there are several.
        (nil, 0, 1, false), (nil, 2, 1, true), (nil, 2, 3, false),
        // More ranks than the step has tasks: a heterogeneous job. MPI did connect them.
        (2, 0, 4, false),
    ])
    func mismatch(size: Int?, rank: Int?, found: Int, isMismatch: Bool) {
        let launcher = Launcher(kind: .pmix, size: size, rank: rank)
        #expect((launcher.mismatch(size: found) != nil) == isMismatch)
    }

    @Test(arguments: Launcher.Kind.allCases)
    func mismatchIsOneLineThatEndsInAHint(_ kind: Launcher.Kind) throws {
        let error = try #require(Launcher(kind: kind, size: 4, rank: 0).mismatch(size: 1))
        let lines = error.description.split(separator: "\n")
        #expect(lines.count == 1)
        #expect(error.description.contains(kind.name))
        #expect(error.description.contains("hint: "))
        #expect(error.isForThisProcessToPrint)
        let another = try #require(Launcher(kind: kind, size: 4, rank: 3).mismatch(size: 1))
        #expect(!another.isForThisProcessToPrint)
    }
}
