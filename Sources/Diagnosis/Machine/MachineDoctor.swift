package import Collectives

/// What is wrong with the machine, or under mpirun with each node, for training.
package enum MachineDoctor {
    /// A finding and the node it is about.
    package struct Entry: Sendable {
        package let host: String
        package let finding: Finding
    }

    /// All checks; all ranks call, and the first of each node looks at it.
    /// - Parameters:
    ///   - available: bytes of memory that this process can take; nil: not known.
    ///   - runs: the directory that runs are written below.
    /// - Returns: on rank 0, node by node; what is the same on all nodes stands first, with the host of rank 0.
    package static func findings(_ communicator: any Communicator, available: Int?, runs: String) throws -> [Entry] {
        let place = communicator.place
        var own: [Finding] = []
        if place.localRank == 0 {
            own += ProcessorCheck.findings(localRanks: place.localSize)
            own += MemoryFindings.findings(available: available, localRanks: place.localSize)
            // The run directory is rank 0's affair.
            if communicator.rank == 0 { own.append(DiskCheck.finding(runs)) }
            own += NetworkCheck.findings(nodes: place.nodes)
        }
        let clocks = try ClockCheck.finding(communicator)
        let text = own.map { [$0.severity.rawValue, $0.subject, $0.text, $0.cure ?? ""].joined(separator: "\u{1F}") }.joined(separator: "\u{1E}")
        let all = try communicator.gather(Array(text.utf8), to: 0)
        let hosts = try communicator.gather(Array(place.host.utf8), to: 0)
        guard let all, let hosts else { return [] }
        var entries = LauncherCheck.findings(communicator).map { Entry(host: place.host, finding: $0) }
        if let clocks { entries.append(Entry(host: place.host, finding: clocks)) }
        for (bytes, host) in zip(all, hosts) {
            let host = String(decoding: host, as: UTF8.self)
            for record in String(decoding: bytes, as: UTF8.self).split(separator: "\u{1E}") {
                let fields = record.split(separator: "\u{1F}", omittingEmptySubsequences: false).map(String.init)
                guard fields.count == 4, let severity = Finding.Severity(rawValue: fields[0]) else { continue }
                let finding =
                    switch severity {
                    case .ok: Finding.ok(fields[1], fields[2])
                    case .note: Finding.note(fields[1], fields[2], cure: fields[3])
                    case .problem: Finding.problem(fields[1], fields[2], cure: fields[3])
                    }
                entries.append(Entry(host: host, finding: finding))
            }
        }
        return entries
    }
}
