import Collectives
import Training

/// A command of several ranks.
enum RankCommand {
    /// Joins the ranks; where that fails, ends the process with one line.
    static func start() -> any Communicator {
        if let problem = ResourceLimits.prepare(isAlone: CommandRunner.ownRank == nil) { CommandRunner.endAlone(1, [problem]) }
        do {
            let communicator = try Communicators.start()
            if communicator.rank == 0, let notice = communicator.notice { CommandRunner.complain(notice) }
            return communicator
        } catch {
            if error.isForThisProcessToPrint { CommandRunner.endAlone(1, ["\(error)"]) }
            CommandRunner.end(1)
        }
    }

    /// Joins the ranks, runs `body` on all of them, and ends the process with the code that it returns. For what trains nothing, and so
    /// has nothing to save.
    static func run(_ body: (any Communicator) throws -> Int32) -> Never {
        let communicator = start()
        do {
            let code = try body(communicator)
            communicator.finish()
            CommandRunner.end(code)
        } catch let failure as TrainingFailure {
            if communicator.rank == 0 { for line in failure.lines { CommandRunner.complain(line) } }
            communicator.finish()
            CommandRunner.end(failure.exitCode)
        } catch {
            // One rank alone met this: the others cannot know, so they are ended.
            CommandRunner.complain("rank \(communicator.rank): \(error)")
            communicator.abort(exitCode: 1)
        }
    }
}
