import Checkpoints
import Collectives
import Exchange
import Glibc
import Memory
import System

/// Where the values of a checkpoint come from as it is written.
protocol CheckpointSource: Sendable {
    /// How often all tensors advance, about.
    var pieces: Int { get }

    /// A try to write begins.
    func begin()

    /// Hands the values of the table's parameter `index` to a file; the tensors come in the order of `TensorParts.tensors`.
    /// - Parameter advanced: called with the seconds waited for values since it was last called.
    func append(_ kind: Ownership.Kind, _ index: Int, to writer: SafetensorsWriter, advanced: (_ waited: Double) -> Void) throws
}

/// The tensors of a checkpoint, where they lie now: the network's own, or a copy.
///
/// `@unchecked Sendable`: whoever writes them to a file sees to it that nobody changes them meanwhile.
struct CheckpointTensors: CheckpointSource, @unchecked Sendable {
    let table: ParameterTable
    let bases: TensorBases

    /// Values handed on at a time: progress is noted, and the writer paces itself, in between.
    private static let piece = 1 << 18

    /// How often all tensors of a checkpoint advance.
    var pieces: Int { bases.kinds.count * table.parameters.reduce(0) { $0 + ($1.count + Self.piece - 1) / Self.piece } }

    func begin() {}

    func append(
        _ kind: Ownership.Kind, _ index: Int, to writer: SafetensorsWriter, advanced: (_ waited: Double) -> Void
    ) throws {
        let base = bases[kind]
        let parameter = table.parameters[index]
        for start in stride(from: 0, to: parameter.count, by: Self.piece) {
            try writer.append(
                UnsafeBufferPointer(
                    start: base + parameter.range.lowerBound + start, count: min(Self.piece, parameter.count - start)))
            advanced(0)
        }
    }
}

/// One checkpoint on its way to disk.
struct CheckpointWrite: Sendable {
    static let modelFile = "model.safetensors"
    static let optimizerFile = "optimizer.safetensors"
    /// Averaged weights, by the parameters' names, where a run averages them.
    static let averageFile = "average.safetensors"
    /// Pauses before the second and the third try, seconds: a full disk may be cleared, a file server come back.
    private static let pauses: [Double] = [1, 4]
    static let tries = pauses.count + 1
    typealias Appending = (Ownership.Kind, Int, SafetensorsWriter) throws -> Void

    /// What came of it.
    struct Outcome: Sendable {
        let step: Int
        /// Its path, or why there is none.
        let result: Result<String, CheckpointError>
        /// What went wrong on the way: tries that failed, old checkpoints that could not be removed.
        let problems: [String]
        let seconds: Double
    }

    let store: CheckpointStore
    let step: Int
    let state: TrainingState
    let score: Double?
    let table: ParameterTable
    /// The optimiser's state, by its names.
    let stateNames: [String]
    let hasAverage: Bool
    /// Tries that are to fail, for tests.
    let faults: Int

    /// Writes it, several times if need be. The checkpoints before are untouched if none succeeds.
    /// - Parameters:
    ///   - advanced: called before and after each pause between tries.
    ///   - begins: called as a try begins.
    ///   - append: hands the values of the table's parameter of this number to a file.
    /// - Throws: the `CollectiveError` of `append`: other ranks may be in the midst of it, so there is no other try.
    func run(advanced: () -> Void, begins: () -> Void = {}, append: Appending) throws(CollectiveError) -> Outcome {
        let start = Stopwatch.now
        var problems: [String] = []
        var attempt = 1
        while true {
            begins()
            do {
                let committed = try write(attempt: attempt, append: append)
                return Outcome(
                    step: step, result: .success(committed.checkpoint.path),
                    problems: problems + committed.problems.map(\.description), seconds: Stopwatch.now - start)
            } catch let error as CollectiveError {
                throw error
            } catch {
                // What the file system refuses is the only thing that can go wrong here and be told otherwise.
                let failure = error as? CheckpointError ?? CheckpointError(.refused, path: store.directory, "\(error)")
                guard attempt <= Self.pauses.count else {
                    return Outcome(
                        step: step, result: .failure(failure), problems: problems, seconds: Stopwatch.now - start)
                }
                problems.append("checkpoint of step \(step), try \(attempt) of \(Self.tries): \(failure)")
                advanced()
                usleep(UInt32(Self.pauses[attempt - 1] * 1e6))
                advanced()
                attempt += 1
            }
        }
    }

    private func write(attempt: Int, append: Appending) throws -> CommittedCheckpoint {
        if attempt <= faults {
            throw CheckpointError(
                .system(code: ENOSPC), path: store.path(ofStep: step), "cannot write: No space left on device, says DTRAIN_FAULT",
                hint: "unset DTRAIN_FAULT")
        }
        var pending = try store.begin(step: step)
        let metadata = ["format": "pt", "made_by": "dtrain", "step": String(step)]
        let parameters = table.parameters
        // The order of the tensors is that of `TensorParts.tensors`.
        try pending.file(
            Self.modelFile, entries: parameters.map { TensorEntry(name: $0.name, shape: $0.shape) }, metadata: metadata
        ) { writer in
            for index in parameters.indices { try append(.weights, index, writer) }
        }
        try pending.file(
            Self.optimizerFile,
            entries: parameters.flatMap { parameter in
                stateNames.map { TensorEntry(name: "\(parameter.name).\($0)", shape: parameter.shape) }
            }, metadata: metadata
        ) { writer in
            for index in parameters.indices {
                for state in stateNames.indices { try append(.state(state), index, writer) }
            }
        }
        if hasAverage {
            try pending.file(
                Self.averageFile, entries: parameters.map { TensorEntry(name: $0.name, shape: $0.shape) }, metadata: metadata
            ) { writer in
                for index in parameters.indices { try append(.average, index, writer) }
            }
        }
        return try pending.commit(training: state, score: score)
    }
}
