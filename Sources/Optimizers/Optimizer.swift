package import Kernels
package import Memory
package import System

/// A rule that changes weights by gradients, elementwise, so that it can run tile by tile and on a part of the weights.
///
/// What it keeps between steps is *named state*: one number a held weight and name. Checkpoints, sharding and resuming go by
/// the names and know no optimiser. Weight decay and rate multipliers go by a parameter's role; statistics and constants are
/// left alone. To add one: a class, with its arithmetic, in a file of its own, and a case
/// of `OptimizerKind`. (Adam's is in Kernels, where the question's network updates weights tile by tile.)
///
/// Threads may update disjoint ranges between two calls of `beginStep`.
package protocol Optimizer: AnyObject, Sendable {
    /// - Parameters:
    ///   - weights: the parameters' arena, `table.count` floats.
    ///   - held: which weights this rank updates and holds the state of; nil: all, laid out as the parameters.
    ///   - arena: gives room for the state: `configuration.bytes(holding:)`.
    init(
        configuration: OptimizerConfiguration, weights: UnsafeMutablePointer<Float>, table: ParameterTable,
        holding held: HeldRanges?, arena: Arena)

    /// Whose form it has, in a few words: for the table in Docs/training.md.
    static var form: String { get }
    /// The flags that it alone reads, with a value as an example: for the same table.
    static var flags: [String] { get }
    /// Whether steps are about a rate each, whatever the gradients' size: which rates are usual depends on it.
    static var isAdaptive: Bool { get }
    /// The weight decay where none is given.
    static var standardWeightDecay: Double { get }

    /// The names of its state, in the order of checkpoints.
    static func stateNames(_ configuration: OptimizerConfiguration) -> [String]
    /// What its state is, in words: for the table in Docs/checkpoints.md.
    static var stateMeaning: String { get }

    /// What is wrong with the settings that only this optimiser reads, in one line; nil when nothing is.
    static func problem(_ configuration: OptimizerConfiguration) -> String?

    var configuration: OptimizerConfiguration { get }

    /// The weights it updates, its state and which weights that is of.
    var memory: OptimizerMemory { get }

    /// Steps taken.
    var step: Int { get }

    /// Sets the number of steps taken, after loading state.
    func restore(step: Int)

    /// Starts step `step + 1`, every weight of which is then to be updated once.
    /// - Parameter rate: the schedule's rate of this step.
    func beginStep(rate: Double)

    /// Updates the weights and state of `range` with its gradient.
    /// - Parameters:
    ///   - range: of the parameter arena; held, in one piece. It may span several parameters and the padding between.
    ///   - gradient: `range.count` floats, averaged over the batch.
    ///   - scale: multiplies the gradient, as clipping by norm does; 1 changes no bit.
    func apply(_ range: Range<Int>, gradient: UnsafePointer<Float>, scale: Float)

    /// What a kernel needs to update tiles of a parameter by itself in the step that was begun; nil where it cannot: the
    /// gradient is then to be stored and `apply` called.
    func fusedUpdate(of parameter: Parameter) -> ImmediateUpdate?

    /// The magnitude of no weight grows by more than this in the step that was begun, whatever its gradients were; nil when
    /// there is no such bound.
    var largestGrowth: Double? { get }
}

extension Optimizer {
    package static var flags: [String] { [] }
    package static var isAdaptive: Bool { true }
    package static var standardWeightDecay: Double { 0 }
    package static func problem(_ configuration: OptimizerConfiguration) -> String? { nil }

    /// The names of its state, in the order of checkpoints.
    package var stateNames: [String] { Self.stateNames(configuration) }

    /// The elements of the parameter arena that this rank holds state of, and therefore updates.
    package var held: HeldRanges { memory.held }

    /// The state `stateNames[index]`, laid out as `held` says: `held.count` floats.
    package func state(_ index: Int) -> UnsafeMutablePointer<Float> { memory.states[index] }

    /// Starts a step at the configuration's rate.
    package func beginStep() { beginStep(rate: configuration.learningRate) }

    /// Updates a range with its gradient as it is.
    package func apply(_ range: Range<Int>, gradient: UnsafePointer<Float>) { apply(range, gradient: gradient, scale: 1) }

    /// Updates a range by all threads of a team.
    package func apply(_ range: Range<Int>, gradient: UnsafePointer<Float>, scale: Float, team: WorkerTeam) {
        let block = 1 << 16
        team.forEach((range.count + block - 1) / block) { item, _ in
            let start = range.lowerBound + item * block
            self.apply(start..<min(start + block, range.upperBound), gradient: gradient + item * block, scale: scale)
        }
    }

    package func fusedUpdate(of parameter: Parameter) -> ImmediateUpdate? { nil }
}

/// What every optimiser holds: the weights, its state, and how each part of the arena is treated.
package struct OptimizerMemory: @unchecked Sendable {  // pointers into arenas that outlive it; threads own disjoint ranges
    /// The parameters' arena.
    package let weights: UnsafeMutablePointer<Float>
    package let held: HeldRanges
    /// One array a name of state, laid out as `held`.
    package let states: [UnsafeMutablePointer<Float>]
    /// Where weights are updated, and by which of `treatments`.
    private let regions: UpdateRegions
    /// Keeps the states' memory.
    private let arena: Arena

    /// - Parameter states: how many arrays are carved.
    init(
        configuration: OptimizerConfiguration, states: Int, weights: UnsafeMutablePointer<Float>, table: ParameterTable,
        holding held: HeldRanges?, arena: Arena
    ) {
        let held = held ?? HeldRanges(all: table)
        self.held = held
        self.weights = weights
        self.arena = arena
        self.states = (0..<states).map { state in
            let room = arena.carve(Float.self, count: held.count + Self.page / 4).baseAddress!
            let wanted = UInt(bitPattern: weights) &+ UInt((state + 1) * Self.page / (states + 1) / Arena.alignment * Arena.alignment)
            return room + Int((wanted &- UInt(bitPattern: room)) % UInt(Self.page)) / 4
        }
        regions = UpdateRegions(configuration, table: table)
    }

    /// Weights and states lie evenly apart within pages. Processors compare the last twelve bits of addresses to tell whether a load
    /// must wait for a store before it. If one array began a little behind another, modulo 4,096, an update's loads would wait for
    /// stores to other arrays ("4K aliasing" in Intel's optimization manual).
    private static let page = 4_096

    /// Bytes of arena that one state takes.
    static func stateBytes(_ held: HeldRanges) -> Int { Arena.bytes(Float.self, count: held.count + page / 4) }

    /// How the parts of the arena are treated: `forEachPart` hands out indices of these.
    var treatments: [Treatment] { regions.treatments }

    /// The treatment of a parameter, as an index; nil when it is not trained.
    func treatment(of parameter: Parameter) -> Int? { regions.treatment(of: parameter.role) }

    /// Where the state of `range` begins; it must be held, in one piece.
    func place(of range: Range<Int>) -> Int {
        guard let place = held.place(of: range) else { preconditionFailure("no state of \(range) is held here") }
        return place
    }

    /// Calls `body` with each part of `range` that is updated: its treatment, its first element, the place of its state, where
    /// it begins in `range`, and its elements' count.
    @inline(__always)
    func forEachPart(
        of range: Range<Int>, _ body: (_ treatment: Int, _ start: Int, _ place: Int, _ offset: Int, _ count: Int) -> Void
    ) {
        guard !range.isEmpty else { return }
        let place = place(of: range)
        regions.forEach(in: range) { treatment, part in
            let offset = part.lowerBound - range.lowerBound
            body(treatment, part.lowerBound, place + offset, offset, part.count)
        }
    }
}
