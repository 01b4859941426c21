extension MPICommunicator {
    /// What tests, and users of unusual machines, can change.
    package struct Options: Sendable {
        /// Most elements in one MPI call; at most `Int32.max`, the limit of C's `int`.
        package var maximumCount = Int(Int32.max)
        /// Pretends that each node is several of at most so many ranks.
        package var ranksPerNode: Int?
        /// Where the memory that ranks of a node share may come from.
        package var sharedMemory = SharedMemory.auto

        /// Whether exchanges of all with all are packed by node where that saves messages.
        package var packs = true

        package init() {}

        /// Reads `DTRAIN_RANKS_PER_NODE`, `DTRAIN_SHARED_MEMORY` and `DTRAIN_PACKING`.
        /// - Throws: `CollectiveError.badSetting`.
        package init(environment: [String: String]) throws(CollectiveError) {
            if let text = environment["DTRAIN_RANKS_PER_NODE"] {
                guard let ranks = Int(text), ranks > 0 else {
                    throw .badSetting(name: "DTRAIN_RANKS_PER_NODE", value: text, hint: "a number from 1, or unset it")
                }
                ranksPerNode = ranks
            }
            if let text = environment["DTRAIN_SHARED_MEMORY"] {
                guard let kind = SharedMemory(rawValue: text) else {
                    let names = SharedMemory.allCases.map(\.rawValue).joined(separator: ", ")
                    throw .badSetting(name: "DTRAIN_SHARED_MEMORY", value: text, hint: "one of \(names), or unset it")
                }
                sharedMemory = kind
            }
            if let text = environment["DTRAIN_PACKING"] {
                guard ["auto", "off"].contains(text) else {
                    throw .badSetting(name: "DTRAIN_PACKING", value: text, hint: "auto or off, or unset it")
                }
                packs = text == "auto"
            }
        }
    }
}

extension MPICommunicator.Options {
    /// Ranks that see other nodes, or other ways to share memory, would wait for each other for ever.
    /// - Throws: `CollectiveError.settingsDiffer` on all ranks.
    func requireSame(on world: MPIGroup) throws(CollectiveError) {
        let kinds = MPICommunicator.SharedMemory.allCases
        let own = [ranksPerNode ?? 0, kinds.firstIndex(of: sharedMemory) ?? 0, packs ? 0 : 1]
        let all = try world.allgather(record: own.withUnsafeBytes { [UInt8]($0) }).map { record in
            record.withUnsafeBytes { bytes in own.indices.map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int.self) } }
        }
        guard let rank = all.firstIndex(where: { $0 != all[0] }) else { return }
        let setting = own.indices.first { all[rank][$0] != all[0][$0] }!
        func value(_ rank: Int) -> String {
            let number = all[rank][setting]
            return switch setting {
            case 0: number == 0 ? "unset" : String(number)
            case 1: kinds[number].rawValue
            default: number == 0 ? "auto" : "off"
            }
        }
        throw .settingsDiffer(
            name: ["DTRAIN_RANKS_PER_NODE", "DTRAIN_SHARED_MEMORY", "DTRAIN_PACKING"][setting], first: value(0), other: value(rank),
            rank: rank, seenBy: world.rank)
    }
}

extension MPICommunicator {
    /// Where shared memory may come from.
    package enum SharedMemory: String, Sendable, CaseIterable {
        /// What works.
        case auto
        /// An anonymous file in memory, opened through /proc.
        case memory
        /// A file in /dev/shm.
        case file
        /// None: MPI carries everything.
        case off

        var kinds: [SharedMemoryKind] {
            switch self {
            case .auto: [.memory, .file]
            case .memory: [.memory]
            case .file: [.file]
            case .off: []
            }
        }
    }
}
