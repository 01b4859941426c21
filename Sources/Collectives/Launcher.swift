/// What started this process, as its environment tells.
package struct Launcher: Equatable, Sendable {
    /// The kinds of launchers that are told apart.
    package enum Kind: String, Equatable, Sendable, CaseIterable {
        /// No launcher: `dtrain` alone.
        case alone
        /// Open MPI's `mpirun`.
        case openMPI
        /// Another launcher that offers PMIx: `srun --mpi=pmix`, `prun`, Flux with its pmix plugin.
        case pmix
        /// MPICH's, Intel MPI's or MVAPICH's `mpiexec` (Hydra).
        case hydra
        /// `srun --mpi=pmi2`.
        case slurmPMI2
        /// `srun` without any process management interface.
        case slurm
        /// MVAPICH's `mpirun_rsh`.
        case mvapich
        /// `flux run` without PMIx.
        case flux
    }

    package let kind: Kind

    /// How many processes the launcher says it started; nil where it does not say.
    package let size: Int?

    /// This process's number among them; nil where the launcher does not say.
    package let rank: Int?

    package init(kind: Kind, size: Int?, rank: Int?) {
        self.kind = kind
        self.size = size
        self.rank = rank
    }

    /// Reads the launcher's variables.
    ///
    /// Order matters, as launchers nest: `mpirun` and Hydra inside an `sbatch` script reach other nodes by `srun`, so
    /// the inner launcher's variables win over Slurm's; and Open MPI's `mpirun` sets PMIx's variables too.
    package static func detect(_ environment: [String: String]) -> Launcher {
        func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
        let slurmSize = number("SLURM_STEP_NUM_TASKS")
        let slurmRank = number("SLURM_PROCID")

        if let size = number("OMPI_COMM_WORLD_SIZE") {
            return Launcher(kind: .openMPI, size: size, rank: number("OMPI_COMM_WORLD_RANK"))
        }
        if let size = number("MV2_COMM_WORLD_SIZE") {
            return Launcher(kind: .mvapich, size: size, rank: number("MV2_COMM_WORLD_RANK"))
        }
        if let rank = number("PMIX_RANK") {
            return Launcher(kind: .pmix, size: slurmSize ?? number("FLUX_JOB_SIZE"), rank: rank)
        }
        if number("FLUX_TASK_RANK") != nil {
            return Launcher(kind: .flux, size: number("FLUX_JOB_SIZE"), rank: number("FLUX_TASK_RANK"))
        }
        if number("PMI_SIZE") != nil || number("MPI_LOCALNRANKS") != nil {
            let underSlurm = slurmSize != nil && number("MPI_LOCALNRANKS") == nil
            // Older Hydras set only the number of ranks on this node: a lower bound that still tells one from many.
            return Launcher(
                kind: underSlurm ? .slurmPMI2 : .hydra, size: number("PMI_SIZE") ?? number("MPI_LOCALNRANKS"),
                rank: number("PMI_RANK") ?? number("MPI_LOCALRANKID"))
        }
        // An sbatch script itself has SLURM_PROCID and SLURM_NTASKS, but is one process; only srun sets the step's
        // size.
        if let size = slurmSize {
            return Launcher(kind: .slurm, size: size, rank: slurmRank)
        }
        return Launcher(kind: .alone, size: 1, rank: 0)
    }

    /// Whether this is a single process that needs no MPI library, and no MPI daemon, at all.
    package var isSingleProcess: Bool { size == 1 }

    /// The reason to refuse, when MPI found one rank where the launcher started several; nil when all is well.
    package func mismatch(size found: Int) -> CollectiveError? {
        guard found == 1 else { return nil }
        let several = size.map { $0 > 1 } ?? ((rank ?? 0) > 0)
        return several ? .launcherMismatch(launcher: self, size: found) : nil
    }
}

extension Launcher.Kind {
    /// What the launcher is called in messages.
    package var name: String {
        switch self {
        case .alone: "no launcher"
        case .openMPI: "Open MPI's mpirun"
        case .pmix: "a PMIx launcher"
        case .hydra: "MPICH's or Intel MPI's mpiexec"
        case .slurmPMI2: "srun with PMI-2"
        case .slurm: "srun without PMIx"
        case .mvapich: "MVAPICH's mpirun_rsh"
        case .flux: "flux run"
        }
    }

    /// What to do when its processes do not find each other.
    var mismatchHint: String {
        switch self {
        case .openMPI:
            "mpirun and the libmpi that dtrain loads are of different installations, use the mpirun beside that libmpi "
                + "(`ldd` shows it); or OMPI_COMM_WORLD_SIZE is left over in this shell, unset it"
        case .slurmPMI2, .slurm:
            "start with `srun --mpi=pmix` (`srun --mpi=list` shows whether it is there), or `mpirun dtrain` inside the job"
        case .pmix:
            "the launcher's PMIx and this Open MPI do not work together, use Open MPI's mpirun inside the job"
        case .hydra, .mvapich, .flux, .alone:
            "dtrain is linked to Open MPI, start it with Open MPI's mpirun (`mpirun --version` must say Open MPI; "
                + "on Debian it is also `mpirun.openmpi`)"
        }
    }
}
