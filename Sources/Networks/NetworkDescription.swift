package import Kernels
package import Layers
package import Memory
import System

/// A network as a value: what it is given, a list of layers, and how its output is compared with labels.
package struct NetworkDescription: Sendable {
    /// One sample's input: (height, width, 1).
    package var input: Shape
    package var layers: [LayerNode]
    package var loss: Loss

    package init(input: Shape, layers: [LayerNode], loss: Loss = Loss()) {
        self.input = input
        self.layers = layers
        self.loss = loss
    }

    /// Values a sample is labelled with: 16 joints x (u, v, d).
    package static let outputs = 48

    /// Why this network cannot be built, or nil.
    package var problem: ShapeError? {
        if layers.isEmpty { return ShapeError("a network needs layers; hint: layers: [...]") }
        do {
            let shape = try layers.output(of: input)
            guard shape.count == Self.outputs else {
                return ShapeError(
                    "the network gives \(shape), but a label has \(Self.outputs) values (16 joints x u, v, d); hint: end it with "
                        + "'- dense: \(Self.outputs)' or soft-argmax", line: layers.last?.line)
            }
            for place in places {
                guard let inner = place.node.layer as? Intermediate else { continue }
                let output = try inner.layers.output(of: place.input)
                guard output.count == Self.outputs else {
                    return ShapeError(
                        "the intermediate output has \(output) values, not \(Self.outputs); hint: end it with soft-argmax",
                        path: place.path, line: place.node.line)
                }
            }
        } catch {
            return error
        }
        return parameterProblem
    }

    /// Parameters that a network can have.
    private static let largestParameterCount = 1 << 36

    private var parameterProblem: ShapeError? {
        var names: Set<String> = []
        var count = 0
        for declared in declarations {
            guard names.insert(declared.name).inserted else {
                return ShapeError("two parameters are called '\(declared.name)'; hint: give the layers other names")
            }
            count += declared.count
            guard count <= Self.largestParameterCount else {
                return ShapeError("more than \(Self.largestParameterCount >> 30) x 2^30 parameters; hint: smaller layers")
            }
        }
        return names.isEmpty ? ShapeError("no layer has parameters: there is nothing to train; hint: '- dense: 48'") : nil
    }

    /// A layer, or one inside another, in its place.
    package struct Place {
        /// From the outermost layer to this one, its name last.
        package let path: [String]
        package let node: LayerNode
        package let input: Shape
        package let output: Shape
        /// Layers and lists of layers around it.
        package let depth: Int
    }

    /// Every layer, also those inside others, in order. The layers must fit.
    package var places: [Place] {
        func walk(_ nodes: [LayerNode], _ input: Shape, _ path: [String], _ depth: Int) -> [Place] {
            nodes.placed(on: input).flatMap { place -> [Place] in
                let path = path + [place.name]
                return [Place(path: path, node: place.node, input: place.input, output: place.output, depth: depth)]
                    + place.node.layer.contents(of: place.input).flatMap { list in
                        walk(list.nodes, list.input, list.name.isEmpty ? path : path + [list.name], depth + 1)
                    }
            }
        }
        return walk(layers, input, [], 0)
    }

    /// The parameters, in the order of checkpoints.
    package var declarations: [LayerParameterDeclaration] { layers.parameters(of: input) }

    /// Names, shapes and places of the parameters.
    package var table: ParameterTable { table(division: .none, rank: 0) }

    /// The table of a rank that holds its part of what is divided.
    /// - Parameter sharded: large weights lie apart, so that their updates can be divided by rows.
    package func table(division: Division, rank: Int, sharded: Bool = false) -> ParameterTable {
        ParameterTable(
            declarations.map { declared in
                var shape = declared.shape
                if let rows = division.rows[declared.name] { shape[0] = rows[rank].reduce(0) { $0 + $1.count } }
                let isLarge = declared.role == .weight && declared.count >= LayerParameterDeclaration.largeCount
                return ParameterDeclaration(
                    declared.name, shape, role: declared.role,
                    isTiled: declared.isTiled || division.rows[declared.name] != nil || sharded && isLarge)
            })
    }

    /// Large weights of fully connected layers, whose rows can be divided among the ranks.
    package var divisible: [LayerParameterDeclaration] {
        declarations.filter { $0.isDivisible && $0.count >= LayerParameterDeclaration.largeCount }
    }

    /// Those of them that have a block of inputs for each of so many ranks.
    package func divisible(ranks: Int) -> [LayerParameterDeclaration] {
        divisible.filter { Self.divisionBlocks(inputs: $0.shape[0]) >= ranks }
    }

    /// Divisible weights, each rank with its contiguous part of the rows.
    /// - Parameter weights: some of `divisible`; nil: all.
    package func division(ranks: Int, of weights: [LayerParameterDeclaration]? = nil) -> Division {
        Division(
            rows: Dictionary(
                uniqueKeysWithValues: (weights ?? divisible).map { declared in
                    (declared.name, (0..<ranks).map { [Self.rows(of: $0, ranks, total: declared.shape[0])] })
                }))
    }

    /// Blocks that a layer's inputs are divided in.
    package static func divisionBlocks(inputs: Int) -> Int {
        (inputs + FullyConnected.divisionGranule - 1) / FullyConnected.divisionGranule
    }

    /// A rank's part, cut between the blocks that predictions add up.
    private static func rows(of rank: Int, _ ranks: Int, total: Int) -> Range<Int> {
        let block = FullyConnected.divisionGranule
        let blocks = part(rank, of: ranks, total: divisionBlocks(inputs: total))
        return min(total, blocks.lowerBound * block)..<min(total, blocks.upperBound * block)
    }

    /// Values of one sample's output; the layers must fit.
    package var outputCount: Int { (try? layers.output(of: input).count) ?? 0 }

    /// Floating-point operations of a forward pass of one sample.
    package var operations: Double { layers.operations(of: input) }

    /// Floating-point operations of one training step over `samples`: forward, and twice as much backward.
    package func operations(samples: Int) -> Double { 3 * operations * Double(samples) }

    /// Weights of the losses of the intermediate outputs, in order.
    package var intermediateWeights: [Double] { places.compactMap { ($0.node.layer as? Intermediate)?.weight } }

    /// The layers that contain no others, in the order in which their times are counted: kind, and operations of a sample.
    package var leafKinds: [(kind: String, operations: Double)] {
        func walk(_ nodes: [LayerNode], _ input: Shape) -> [(String, Double)] {
            nodes.placed(on: input).flatMap { place -> [(String, Double)] in
                let contents = place.node.layer.contents(of: place.input)
                if contents.isEmpty { return [(type(of: place.node.layer).kind, place.node.layer.operations(of: place.input))] }
                return contents.flatMap { walk($0.nodes, $0.input) }
            }
        }
        return walk(layers, input).map { (kind: $0.0, operations: $0.1) }
    }

    /// Its convolutions, in order, those within other layers too.
    package var convolutions: [Convolution2D] {
        places.compactMap { ($0.node.layer as? Convolution)?.convolution(of: $0.input) }
    }

    /// Channels of each layer that looks at the whole batch.
    package var batchStatistics: [Int] { places.filter { $0.node.layer.readsWholeBatch }.map(\.input.channels) }

    /// Whether layers look at the whole batch, so that ranks must compute it together and micro-batches change it.
    package var hasBatchStatistics: Bool { places.contains { $0.node.layer.readsWholeBatch } }

    /// The window stem, if the network begins with one.
    package var stem: WindowStem? { layers.first?.layer as? WindowStem }
}
