extension MPICommunicator {
    /// What tests, and users of unusual machines, can change.
    package struct Options: Sendable {
        /// Most elements in one MPI call; at most `Int32.max`, the limit of C's `int`.
        package var maximumCount = Int(Int32.max)
        /// Pretends that each node is several of at most so many ranks.
        package var ranksPerNode: Int?
        /// Where the memory that ranks of a node share may come from.
        package var sharedMemory = SharedMemory.auto

        package init() {}

        /// Reads `DTRAIN_RANKS_PER_NODE` and `DTRAIN_SHARED_MEMORY`.
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
        }
    }

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
