package import Collectives
package import Memory
package import System

/// What layers are made with: memory, and the parameters in the order in which they were declared.
package struct LayerBuilder {
    package var carver: Carver
    /// Samples a pass can have.
    package let samples: Int
    package let threads: Int
    /// Of one thread while memory is counted.
    package let team: WorkerTeam
    private let communicator: any Communicator
    /// Of those among whom parameters are divided.
    package let rank: Int
    private let table: ParameterTable
    private let parameters: UnsafeMutablePointer<Float>
    private let gradients: UnsafeMutablePointer<Float>
    private var next = 0
    /// Which parameters lie divided among the ranks.
    package let division: Division
    /// Whether anybody needs the gradient of the layer's input.
    package var needsInputGradient = false
    /// Whether the layer may overwrite its input: nobody else reads it again.
    package var inputIsDisposable = false
    /// The layer before, whose result is the layer's input; nil: a list begins.
    package var previous: (any Layer)?
    /// The layer after it; nil: the list ends.
    package var following: (any LayerDescription)?
    /// Floats of scratch that a thread needs at most.
    package private(set) var scratch = 1
    /// Floats of workspace that a call needs at most.
    package private(set) var workspace = 1
    /// Floats of the largest activation a sample.
    package private(set) var largestActivation = 1
    /// Leaf layers made.
    package private(set) var layers = 0
    /// Intermediate outputs made.
    package private(set) var intermediates = 0

    /// - Parameters:
    ///   - table: the parameters that this rank holds.
    ///   - parameters, gradients: `table.count` floats each; not touched.
    package init(
        carver: Carver, samples: Int, threads: Int, team: WorkerTeam, communicator: any Communicator, rank: Int,
        table: ParameterTable,
        parameters: UnsafeMutablePointer<Float>, gradients: UnsafeMutablePointer<Float>, division: Division = .none
    ) {
        self.carver = carver
        self.samples = samples
        self.threads = threads
        self.team = team
        self.communicator = communicator
        self.rank = rank
        self.table = table
        self.parameters = parameters
        self.gradients = gradients
        self.division = division
    }

    /// The ranks among which the next parameter is divided; nil: it is whole.
    var dividingNext: (any Communicator)? {
        division.rows[table.parameters[next].name] == nil ? nil : communicator
    }

    /// The layer's next parameter.
    package mutating func parameter() -> LayerParameter {
        defer { next += 1 }
        let parameter = table.parameters[next]
        return LayerParameter(
            parameter: parameter, values: parameters + parameter.range.lowerBound,
            gradient: gradients + parameter.range.lowerBound)
    }

    /// Room for a batch of activations of a shape.
    package mutating func activation(_ shape: Shape) -> UnsafeMutablePointer<Float> {
        note(shape)
        return carver.floats(samples * shape.count, for: .activations)
    }

    /// A shape whose gradient will lie in a buffer of the pool.
    package mutating func note(_ shape: Shape) { largestActivation = max(largestActivation, shape.count) }

    /// Asks for floats of scratch for each thread; all layers share it.
    package mutating func needScratch(_ count: Int) { scratch = max(scratch, count) }

    /// Asks for floats of workspace; all layers share it.
    package mutating func needWorkspace(_ count: Int) { workspace = max(workspace, count) }

    mutating func nextLayer() -> Int {
        defer { layers += 1 }
        return layers
    }

    mutating func nextIntermediate() -> Int {
        defer { intermediates += 1 }
        return intermediates
    }
}

/// Which parameters lie divided by rows among the ranks: activations travel to them.
package struct Division: Sendable, Equatable {
    /// For each divided parameter, by name: for each rank, the rows that it holds, in the order in which they lie there.
    package let rows: [String: [[Range<Int>]]]

    package static let none = Division(rows: [:])

    package init(rows: [String: [[Range<Int>]]]) { self.rows = rows }
}
