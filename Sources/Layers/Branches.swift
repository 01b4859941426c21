import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Branches.self, to: $0) }

/// Several lists of layers on the same input, their outputs joined: concatenated along the channels, or added.
package struct Branches: LayerDescription {
    package enum Join: String, Sendable, CaseIterable { case concatenate, add }

    package static let kind = "branches"
    package static let result = "all outputs side by side along the channels, or their sum"
    package static let example: String? = "branches: [[convolution: 8], [activation: exp]]"
    package var branches: [[LayerNode]] = []
    package var join = Join.concatenate

    /// Branches that are under way at the same time at most: while one waits for other ranks, another computes. Each needs a buffer
    /// for its gradient.
    package static let mostAbreast = 4

    package init() {}
    package init(_ branches: [[LayerNode]], join: Join = .concatenate) {
        self.branches = branches
        self.join = join
    }

    package static var members: [Member<Branches>] { [.branches("branches", \.branches), .choice("join", \.join)] }

    static func name(_ number: Int) -> String { "branch\(number + 1)" }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard !branches.isEmpty else { throw ShapeError("there are no branches; hint: branches: [[...], [...]]") }
        var shapes: [Shape] = []
        for (number, nodes) in branches.enumerated() {
            do { shapes.append(try nodes.output(of: input)) } catch { throw error.inside(Self.name(number), line: nil) }
        }
        let first = shapes[0]
        if join == .add {
            guard shapes.allSatisfy({ $0 == first }) else {
                throw ShapeError("branches of \(Self.words(shapes)) cannot be added; hint: equal shapes")
            }
            return first
        }
        guard shapes.allSatisfy({ $0.height == first.height && $0.width == first.width }) else {
            throw ShapeError("branches of \(Self.words(shapes)) cannot be concatenated; hint: equal heights and widths")
        }
        return Shape(height: first.height, width: first.width, channels: shapes.reduce(0) { $0 + $1.channels })
    }

    private static func words(_ shapes: [Shape]) -> String { shapes.map(\.description).joined(separator: ", ") }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        branches.enumerated().flatMap { number, nodes in
            nodes.parameters(of: input).map { $0.inside(Self.name(number), isAbreast: join == .concatenate && branches.count > 1) }
        }
    }

    package func operations(of input: Shape) -> Double { branches.reduce(0) { $0 + $1.operations(of: input) } }

    package func contents(of input: Shape) -> [LayerList] {
        branches.enumerated().map { LayerList($1, named: Self.name($0), input: input) }
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { BranchesLayer(self, input, &builder) }
}

private final class BranchesLayer: Layer {
    private let branches: [LayerSequence]
    private let join: Branches.Join
    /// Of each branch.
    private let channels: [Int]
    private let output: Shape
    private let inputCount: Int
    private let y: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool

    var contents: [any Layer] { branches }

    init(_ description: Branches, _ input: Shape, _ builder: inout LayerBuilder) {
        let isDisposable = builder.inputIsDisposable
        builder.inputIsDisposable = false
        needsInputGradient = builder.needsInputGradient
        join = description.join
        inputCount = input.count
        channels = description.branches.map { $0.placed(on: input).last?.output.channels ?? input.channels }
        guard let shape = try? description.output(of: input) else { preconditionFailure("the branches do not fit") }
        output = shape
        var made: [LayerSequence] = []
        for nodes in description.branches { made.append(LayerSequence(nodes, input, &builder)) }
        branches = made
        y = builder.activation(output)
        builder.inputIsDisposable = isDisposable
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        switch join {
        case .concatenate: try concatenate(x, pass)
        case .add: try add(x, pass)
        }
        return y
    }

    private func add(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws {
        for (number, branch) in branches.enumerated() {
            let part = try branch.forward(x, pass)
            try pass.forEachValue(pass.samples * output.count) { range in
                if number == 0 {
                    (y + range.lowerBound).update(from: part + range.lowerBound, count: range.count)
                } else {
                    for index in range { y[index] += part[index] }
                }
            }
        }
    }

    /// Where each branch's channels begin in a position of the output.
    private var offsets: [Int] { channels.indices.map { channels[..<$0].reduce(0, +) } }

    /// Each branch's result beside the others': written there, or copied.
    private func concatenate(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws {
        let (all, offsets) = (output.channels, offsets)
        func isPlaced(_ number: Int) -> Bool { branches[number].finishes.contains(.place) }
        try sideBySide(branches.indices) { number in
            LayerSequence.ForwardWalk(x: x, finish: isPlaced(number) ? Finish(place: (y + offsets[number], all)) : Finish())
        } advance: { number, walk in
            guard try branches[number].advance(&walk, pass) else { return false }
            if isPlaced(number) { return true }
            // A vector's positions are its samples.
            try pass.move(
                walk.x, Shape(height: output.height, width: output.width, channels: channels[number]), to: y + offsets[number],
                yStep: all)
            return true
        }
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        var sum: UnsafeMutablePointer<Float>?
        let offsets = offsets
        try sideBySide(branches.indices.reversed()) { number in
            branches[number].backwardWalk(
                join == .concatenate ? dy + offsets[number] : dy, step: join == .concatenate ? output.channels : nil, keeping: true)
        } advance: { number, walk in
            guard try branches[number].advance(&walk, into: needsInputGradient ? sum : nil, pass) else { return false }
            if needsInputGradient { sum = walk.gradient } else if let gradient = walk.gradient { pass.pool.give(gradient) }
            return true
        }
        pass.pool.give(dy)
        return sum
    }

    private var abreast: Int { branches.contains(where: \.isPiecewise) ? min(Branches.mostAbreast, branches.count) : 1 }

    /// Runs a pass through the branches, one after the other or some by turns.
    /// - Parameter advance: whether it came to the branch's end.
    private func sideBySide<Walk>(
        _ numbers: some Sequence<Int>, begin: (_ number: Int) -> Walk, advance: (_ number: Int, _ walk: inout Walk) throws -> Bool
    ) throws {
        var waiting = numbers.makeIterator()
        var walks = [(number: Int, walk: Walk)?](repeating: nil, count: abreast)
        while true {
            for index in walks.indices {
                if walks[index] == nil, let number = waiting.next() { walks[index] = (number, begin(number)) }
                guard let number = walks[index]?.number else {
                    if walks.allSatisfy({ $0 == nil }) { return }
                    continue
                }
                if try advance(number, &walks[index]!.walk) { walks[index] = nil }
            }
        }
    }

    func planBackward(_ plan: inout GradientPlan) {
        plan.take()
        // What waits holds a buffer.
        for _ in 1..<abreast { plan.take() }
        for branch in branches {
            plan.take()
            branch.planBackward(&plan)
            plan.give()
        }
        for _ in 0..<abreast { plan.give() }
    }
}

extension Pass {
    /// The sum of two gradients of one input, in one of their buffers; the other goes back to the pool, both if it is not needed.
    func joined(
        _ one: UnsafeMutablePointer<Float>?, _ other: UnsafeMutablePointer<Float>?, isNeeded: Bool, count: Int
    ) throws -> UnsafeMutablePointer<Float>? {
        guard isNeeded else {
            if let one { pool.give(one) }
            if let other { pool.give(other) }
            return nil
        }
        guard let one, let other else { return one ?? other }
        try forEachValue(count) { range in
            for index in range { one[index] += other[index] }
        }
        pool.give(other)
        return one
    }
}

// MARK: Export

extension Branches {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        var values: [ONNXValue] = []
        for (number, nodes) in branches.enumerated() {
            values.append(try graph.append(nodes, x, place.inside("branch\(number + 1)")))
        }
        let (name, isMap) =
            join == .add
            ? graph.joined(values, "Sum", layer: place.name)
            : graph.joined(values, "Concat", layer: place.name, ["axis": .integer(1)])
        return ONNXValue(name: name, shape: place.output, isMap: isMap)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) throws -> TorchValue {
        var values: [TorchValue] = []
        for (number, nodes) in branches.enumerated() {
            values.append(try module.copy(x, through: nodes, place.inside("branch\(number + 1)")))
        }
        let (names, isMap) = module.alike(values)
        let joined = join == .add ? names.joined(separator: " + ") : "torch.cat([\(names.joined(separator: ", "))], 1)"
        module.line("\(x.name) = \(joined)")
        return x.holding(place.output, isMap: isMap)
    }
}
