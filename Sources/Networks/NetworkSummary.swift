import Layers
package import Memory

/// What a network is and what a step of it takes, known before anything runs: what `dtrain describe` prints.
package struct NetworkSummary: Sendable, Codable, Equatable {
    /// A layer.
    package struct Row: Sendable, Codable, Equatable {
        /// Layers around it.
        package let depth: Int
        /// From the outermost layer to this one, joined by dots: what stands before its parameters' names.
        package let name: String
        package let kind: String
        /// (height, width, channels).
        package let output: [Int]
        /// Trained values; of a layer that contains others, theirs.
        package let parameters: Int
        /// Values kept in checkpoints and not trained, such as running means.
        package let kept: Int
        /// Floating-point operations a frame, forward; of a layer that contains others, theirs.
        package let operations: Double
        package let containsLayers: Bool
    }

    /// Bytes of a rank's memory.
    package struct Memory: Sendable, Codable, Equatable {
        package let kind: MemoryKind
        package let bytes: Int
    }

    /// Bytes that a rank sends in a step, on average.
    package struct Exchange: Sendable, Codable, Equatable {
        package let kind: String
        package let bytes: Double
    }

    /// A large dense layer: divided by rows among the ranks, activations travel instead of its gradient.
    package struct Divisible: Sendable, Codable, Equatable {
        package let name: String
        package let wholeBytes: Double
        package let dividedBytes: Double
    }

    /// What a run is made of, as far as a summary needs to know.
    package struct Run: Sendable, Codable, Equatable {
        package var ranks: Int
        /// Global.
        package var batch: Int
        package var threads: Int
        /// Values that the optimiser keeps for each trained one: 2 of Adam.
        package var stateValues: Int
        /// Gradients travel as bf16, in half the bytes.
        package var halvesGradients: Bool
        /// Gradients of all parameters are held at once; else the window stem updates its weights as it makes their gradients.
        package var storesGradients: Bool

        package init(
            ranks: Int = 1, batch: Int = 128, threads: Int = 1, stateValues: Int = 2, halvesGradients: Bool = false,
            storesGradients: Bool = true
        ) {
            self.ranks = ranks
            self.batch = batch
            self.threads = threads
            self.stateValues = stateValues
            self.halvesGradients = halvesGradients
            self.storesGradients = storesGradients
        }
    }

    /// A preset's name or a file's.
    package let network: String
    /// (height, width).
    package let input: [Int]
    package let run: Run
    package let layers: [Row]
    package let parameters: Int
    package let kept: Int
    /// A frame, forward.
    package let operations: Double
    /// Of the rank with most samples, each parameter held whole.
    package let memory: [Memory]
    package let exchanges: [Exchange]
    package let divisible: [Divisible]
    /// A step on machines like this one, one rank a node; none where no rates were measured.
    package let predictions: [Prediction]

    /// A predicted step.
    package struct Prediction: Codable, Sendable, Equatable {
        /// Of the link between nodes, Gbit/s; nil: of a rank alone.
        package let gigabits: Double?
        package let exchange: String
        package let seconds: Double

        package init(gigabits: Double?, exchange: String, seconds: Double) {
            self.gigabits = gigabits
            self.exchange = exchange
            self.seconds = seconds
        }
    }

    /// - Parameters:
    ///   - name: of the network, for the reader.
    ///   - predictions: of a step's time, from a probe.
    /// - Precondition: `description.problem` is nil.
    package init(_ description: NetworkDescription, name: String, run: Run, predictions: [Prediction] = []) {
        network = name
        input = [description.input.height, description.input.width]
        self.run = run
        self.predictions = predictions
        layers = description.places.map { place in
            let declared = place.node.layer.parameters(of: place.input)
            return Row(
                depth: place.depth, name: place.path.filter { !$0.isEmpty }.joined(separator: "."),
                kind: type(of: place.node.layer).kind,
                output: [place.output.height, place.output.width, place.output.channels],
                parameters: declared.trainedCount, kept: declared.keptCount,
                operations: place.node.layer.operations(of: place.input),
                containsLayers: !place.node.layer.contents(of: place.input).isEmpty)
        }
        parameters = description.declarations.trainedCount
        kept = description.declarations.keptCount
        operations = description.operations
        memory = Self.memory(description, run)
        let traffic = Traffic(description, run)
        exchanges = traffic.exchanges
        divisible = traffic.divisible
    }

    private static func memory(_ description: NetworkDescription, _ run: Run) -> [Memory] {
        var setting = Network.Setting(maximumSamples: (run.batch + run.ranks - 1) / run.ranks)
        setting.storesGradients = run.storesGradients || description.stem == nil
        var bytes = Network.memory(description, setting, threads: run.threads)
        // Laid out as the parameters.
        bytes[.state] = run.stateValues * Arena.bytes(Float.self, count: description.table.count)
        return MemoryKind.allCases.map { Memory(kind: $0, bytes: bytes[$0] ?? 0) }
    }
}

/// Bytes that a rank sends, of P ranks with B samples in all. Sums go round a ring: 2 (P - 1) / P of a buffer.
private struct Traffic {
    private let run: NetworkSummary.Run
    private let statistics: Double
    private let gradients: Double
    private(set) var divisible: [NetworkSummary.Divisible] = []

    /// 2 (P - 1) / P.
    private var share: Double { 2 * Double(run.ranks - 1) / Double(run.ranks) }

    init(_ description: NetworkDescription, _ run: NetworkSummary.Run) {
        self.run = run
        let valueBytes = run.halvesGradients ? 2.0 : 4.0
        let share = 2 * Double(run.ranks - 1) / Double(run.ranks)
        gradients = share * valueBytes * Double(description.declarations.trainedCount)
        // Two sums a channel and the number of rows, in Double, forward and backward.
        statistics = description.places.filter { $0.node.layer.readsWholeBatch }.reduce(0) { sum, place in
            sum + share * 8 * 2 * Double(2 * place.input.channels + 1)
        }
        // Inputs go to the ranks that hold their rows, and their gradients come back; outputs are summed, and their gradients gathered.
        let batch = Double(run.batch)
        divisible = description.declarations.filter { $0.isTiled || description.divisible.contains($0) }.map { declared in
            NetworkSummary.Divisible(
                name: declared.name, wholeBytes: share * valueBytes * Double(declared.count),
                dividedBytes: share * 4 * batch * (Double(declared.shape[0]) / Double(run.ranks) + Double(declared.shape[1])))
        }
    }

    var exchanges: [NetworkSummary.Exchange] {
        // A reduce-scatter and an allgather send what an allreduce does.
        var all = [("allreduce", gradients), ("sharded", gradients)]
        if !divisible.isEmpty { all.append(("split", gradients + divisible.reduce(0) { $0 + $1.dividedBytes - $1.wholeBytes })) }
        return all.map { NetworkSummary.Exchange(kind: $0.0, bytes: $0.1 + statistics) }
    }
}

extension [LayerParameterDeclaration] {
    fileprivate var trainedCount: Int { reduce(0) { $0 + ($1.role.isTrained ? $1.count : 0) } }
    fileprivate var keptCount: Int { reduce(0) { $0 + ($1.role.isTrained ? 0 : $1.count) } }
}
