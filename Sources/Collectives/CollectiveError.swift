/// What went wrong when ranks tried to work together.
package enum CollectiveError: Error, Equatable, CustomStringConvertible {
    /// The MPI library refused or failed a call. `code` is MPI's error class, `message` MPI's own text.
    case mpi(call: String, code: Int32, message: String, rank: Int, hint: String)

    /// The launcher started `launcher.size` processes, but each of them found itself alone (`size` ranks).
    case launcherMismatch(launcher: Launcher, size: Int)

    /// The MPI library cannot be used as dtrain uses it (its thread support, for instance).
    case unsuitableLibrary(reason: String)

    /// Another rank ended before it took part in `call`.
    case peerEnded(call: String, peer: Int, reason: String)

    /// Ranks entered different calls at the same time. `Simulated` sees it always, MPI's ranks when they share memory;
    /// elsewhere they hang.
    case callsDiffer(String)

    /// An environment variable has a value that means nothing.
    case badSetting(name: String, value: String, hint: String)

    /// An environment variable that must be the same on all ranks is not; `seenBy` is this rank.
    case settingsDiffer(name: String, first: String, other: String, rank: Int, seenBy: Int)

    /// A point-to-point message had another length than the receiver expected. In bytes.
    case wrongLength(source: Int, expected: Int, received: Int)

    /// One line: what, where, and what to do.
    package var description: String {
        switch self {
        case .mpi(let call, let code, let message, let rank, let hint):
            return "\(call) failed on rank \(rank): \(message) (error class \(code)); hint: \(hint)"
        case .launcherMismatch(let launcher, let size):
            let started = launcher.size.map { "\($0) processes" } ?? "several processes"
            return "\(launcher.kind.name) started \(started), but MPI sees \(size) rank in each of them: "
                + "each would train a model of its own, over the others' files; "
                + "hint: \(launcher.kind.mismatchHint)"
        case .unsuitableLibrary(let reason):
            return "\(reason); hint: dtrain is built for Open MPI 4 or later, check which libmpi `ldd` finds"
        case .peerEnded(let call, let peer, let reason):
            return "\(call): rank \(peer) has ended (\(reason)); hint: the first error of that rank is the cause"
        case .callsDiffer(let calls):
            return
                "ranks entered different collectives: \(calls); "
                + "hint: every rank must make the same calls in the same order"
        case .badSetting(let name, let value, let hint):
            return "\(name) is \"\(value)\"; hint: \(hint)"
        case .settingsDiffer(let name, let first, let other, let rank, _):
            return "\(name) differs between ranks: \(first) on rank 0, \(other) on rank \(rank); hint: give all ranks the same, "
                + "Open MPI's mpirun passes a variable on with -x"
        case .wrongLength(let source, let expected, let received):
            return "message from rank \(source) has \(received) bytes where \(expected) were expected; "
                + "hint: sender and receiver must agree on the length, do all ranks run the same program and options?"
        }
    }

    /// Whether this process is the one that should print the error. Processes that found themselves alone all believe
    /// to be rank 0; only the launcher's first one speaks.
    package var isForThisProcessToPrint: Bool {
        if case .launcherMismatch(let launcher, _) = self { return (launcher.rank ?? 0) == 0 }
        // All ranks know it.
        if case .settingsDiffer(_, _, _, _, let rank) = self { return rank == 0 }
        return true
    }
}
