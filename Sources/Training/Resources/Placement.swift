package import Collectives
import Glibc
import Kernels
import System

/// Where a rank's threads run: how many, and on which processors.
package struct Placement: Sendable {
    package let threads: Int
    /// Processors to pin the threads to; empty when the threads of this node do not fill its processors exactly.
    package let processors: [Int]
    /// Processors for each rank where the threads of those that share them outnumber them; nil where each thread has its own.
    package let sharedProcessors: Double?
    /// More threads on this node than processors: nobody may spin.
    package var isOversubscribed: Bool { sharedProcessors != nil }
    /// Processors that the launcher bound this rank to, out of those it has itself or others; nil where it bound nothing.
    package let bound: [Int]?
    /// What a user should know about a misfit, one line; nil when all is well.
    package let warning: String?

    /// Processors this rank may use, divided by the ranks that share them.
    /// - Parameters:
    ///   - requested: threads asked for; 0: as many as fit.
    ///   - offered: numbers of the processors that mpirun, or its daemon, may use on this node; nil when it did not start this
    ///     process.
    package static func decide(
        communicator: any Communicator, requested: Int, offered: [Int]? = Placement.offeredByMPIRun()
    ) throws -> Placement {
        let allowed = Processors.allowed()
        let place = communicator.place
        // Ranks of this node with the same mask share its processors; a launcher that binds gives each its own mask.
        let signature = "\(place.node):\(allowed)"
        let signatures = try communicator.allgather(Array(signature.utf8)).map { String(decoding: $0, as: UTF8.self) }
        let sharers = signatures.indices.filter { signatures[$0] == signature }
        let position = sharers.firstIndex(of: communicator.rank) ?? 0
        let threads = requested > 0 ? requested : max(1, allowed.count / sharers.count)
        let demand = threads * sharers.count
        // Pinned only when the ranks fill the mask: two runs side by side on part of a machine must not meet on one core.
        let pins = demand == allowed.count && allowed.count > 1
        return Placement(
            threads: threads,
            processors: pins ? Array(allowed[position * threads..<(position + 1) * threads]) : [],
            sharedProcessors: demand > allowed.count ? Double(allowed.count) / Double(sharers.count) : nil,
            bound: offered.flatMap { $0 == allowed ? nil : allowed },
            warning: offered.flatMap { strayed(allowed, from: $0) }
                ?? misfit(
                    threads: threads, sharers: sharers.count, allowed: allowed.count, requested: requested,
                    localRanks: place.localSize, offered: offered?.count))
    }

    /// The misfits of all ranks, each once: as it is where rank 0 has it too, else with the first rank that has it. Collective.
    package func warnings(of communicator: any Communicator) throws -> [String] {
        let own = warning.map { "rank \(communicator.rank) on \(communicator.place.host): \n\($0)" } ?? ""
        var (seen, lines) = (Set<Substring>(), [String]())
        for (rank, bytes) in try communicator.allgather(Array(own.utf8)).enumerated() where !bytes.isEmpty {
            let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\n", maxSplits: 1)
            guard parts.count == 2, seen.insert(parts[1]).inserted else { continue }
            lines.append((rank == 0 ? "" : String(parts[0])) + parts[1])
        }
        return lines
    }

    /// The same with fewer threads where a limit of addresses (ulimit -v) allows no more. What is trained does not depend on it.
    func limited(to most: Int) -> Placement {
        guard most < threads else { return self }
        return Placement(
            threads: most, processors: [], sharedProcessors: sharedProcessors, bound: bound,
            warning: "\(most) thread\(most == 1 ? "" : "s") instead of \(threads), as the limit of addresses allows no more; "
                + "hint: raise it (ulimit -v, h_vmem of Grid Engine, pvmem of PBS)")
    }

    /// Open MPI's mpirun, or its daemon on another node, starts its ranks.
    package static func offeredByMPIRun() -> [Int]? {
        getenv("OMPI_COMM_WORLD_SIZE") == nil ? nil : Processors.allowedToLauncher()
    }

    /// Open MPI gives the processors of mpirun's own node on all nodes, whatever its daemon on another may use there.
    private static func strayed(_ allowed: [Int], from offered: [Int]) -> String? {
        let outside = allowed.filter { !offered.contains($0) }
        guard !outside.isEmpty else { return nil }
        return "mpirun binds this rank to \(named(allowed)), but its daemon on this node may use \(named(offered)) only, "
            + "so ranks may crowd on one; hint: mpirun --bind-to none"
    }

    /// As in `processor 3`, `processors 0-3,8`.
    private static func named(_ processors: [Int]) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in processors {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        let list = ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
        return "processor\(processors.count == 1 ? "" : "s") \(list)"
    }

    private static func misfit(
        threads: Int, sharers: Int, allowed: Int, requested: Int, localRanks: Int, offered: Int?
    ) -> String? {
        if let offered, allowed < offered / localRanks, requested == 0 || requested > allowed {
            return "mpirun binds this rank to \(allowed) processor\(allowed == 1 ? "" : "s") where its share of the node is "
                + "\(offered / localRanks), so the others stay idle; hint: mpirun --bind-to none"
        }
        if sharers == 1 && localRanks == 1 && requested > allowed {
            return "\(requested) threads on \(allowed) processors; hint: --threads \(allowed), or a wider affinity mask"
        }
        if sharers > allowed {
            return "\(sharers) ranks share \(allowed) processors of this node, so they take turns; "
                + "hint: as many ranks as processors, or fewer with more threads each"
        }
        if threads * sharers > allowed {
            return "\(sharers) ranks x \(threads) threads on \(allowed) processors; hint: --threads \(max(1, allowed / sharers))"
        }
        return nil
    }

    /// One line about this rank, for the table at the start.
    func describe(_ place: NodePlace) -> String {
        let pinned =
            processors.isEmpty
            ? bound.map { ", bound to \(Self.named($0))" } ?? ""
            : ", pinned to \(processors.map(String.init).joined(separator: ","))"
        return "\(place.host): \(threads) thread\(threads == 1 ? "" : "s")\(pinned), OpenBLAS \(BLAS.kernelName), "
            + Processors.modelName
    }
}
