import FoundationEssentials

/// The way to the communicator that fits how this process was started.
package enum Communicators {
    /// Joins the ranks of this training: MPI under a launcher that started several processes, `Solo` otherwise.
    ///
    /// To be called once, on the main thread, after the command line was found good.
    /// - Parameters:
    ///   - environment: the variables by which the launcher is recognised, and `DTRAIN_SHARED_MEMORY`,
    ///     `DTRAIN_RANKS_PER_NODE`.
    ///   - maximumCount: most elements in one MPI call; lowered only by tests.
    /// - Throws: `CollectiveError.launcherMismatch` when the launcher started several processes which MPI does not
    ///   connect;
    ///   `.badSetting` for a variable of no meaning; `.mpi` and `.unsuitableLibrary` when the library cannot be started.
    package static func start(
        environment: [String: String] = ProcessInfo.processInfo.environment, maximumCount: Int = Int(Int32.max)
    ) throws(CollectiveError) -> any Communicator {
        let launcher = Launcher.detect(environment)
        if launcher.isSingleProcess { return Solo() }
        var options = try MPICommunicator.Options(environment: environment)
        options.maximumCount = maximumCount
        let communicator = try MPICommunicator(launcher: launcher, options: options)
        if let mismatch = launcher.mismatch(size: communicator.size) {
            communicator.finish()
            throw mismatch
        }
        return communicator
    }
}
