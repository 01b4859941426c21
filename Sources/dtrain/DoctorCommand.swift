import ArgumentParser
import Collectives
import Diagnosis
import Glibc
import HandData
import Training

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Tell what is wrong with the machine, or with a data set, before training.",
        discussion: """
            Each line begins with OK, note or problem; notes and problems end with what to do. Under mpirun every node is looked at.

            EXAMPLES
              dtrain doctor
              mpirun -np 4 dtrain doctor
              dtrain doctor --data /data/icvl

            EXIT CODES
               0  all is well, or notes alone
               1  a problem, or the data cannot be opened
            """)

    @Option(help: ArgumentHelp("Look at this data set instead of the machine.", valueName: "directory"))
    var data: String?

    @Option(help: "Of --data: none, or all: ICVL's rotated copies of the training frames too.")
    var rotations: Rotations = .none

    @Option(help: ArgumentHelp("Where runs are to be written: the disk that is tried.", valueName: "directory"))
    var runs = "."

    func run() throws {
        if let data { try look(at: data) }
        let runs = runs
        RankCommand.run { communicator in
            let entries = try MachineDoctor.findings(communicator, available: MemoryCheck.available(), runs: runs)
            if communicator.rank == 0 {
                let several = Set(entries.map(\.host)).count > 1
                for entry in entries { CommandRunner.say(several ? "\(entry.host): \(entry.finding.line)" : entry.finding.line) }
            }
            return try communicator.maximum(entries.contains { $0.finding.severity == .problem } ? 1 : 0) > 0 ? 1 : 0
        }
    }

    /// Looks at a data set and ends; of several ranks the first alone.
    private func look(at path: String) throws -> Never {
        if let rank = CommandRunner.ownRank, rank > 0 { CommandRunner.end(0) }
        let set: ICVLDataSet
        do {
            set = try ICVLDataSet.open(path, rotations: rotations)
        } catch {
            throw TrainingFailure("\(error)")
        }
        var findings = DataDoctor.findings(training: set.training, heldOut: set.heldOut, test: set.test)
        if set.malformedCount > 0 {
            let first = set.malformed.first.map { "; the first: \($0)" } ?? ""
            findings.append(
                .problem("label lines", "\(set.malformedCount) cannot be read\(first)", cure: "repair them, or --on-bad-sample skip"))
        }
        for finding in findings { CommandRunner.say(finding.line) }
        for note in set.notes { CommandRunner.say("note     split: \(note)") }
        CommandRunner.end(findings.contains { $0.severity == .problem } ? 1 : 0)
    }
}

extension Rotations: ExpressibleByArgument {}
