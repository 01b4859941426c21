import Memory
import System

/// Layers one after the other, as they run.
package final class LayerSequence: Layer {
    private struct Member {
        let layer: any Layer
        /// The same, where its passes come in pieces.
        let piecewise: (any PiecewiseLayer)?
        /// Number of a layer that contains no others, by which its time is counted.
        let number: Int?
        let input, output: Shape
        /// Whether it takes over the ReLU that follows it.
        var rectifies = false
        let name: String
        /// In a trace.
        let label: String
    }

    private let members: [Member]
    private let input: Shape
    package let needsOutput: Bool
    package var contents: [any Layer] { members.map(\.layer) }

    /// Makes the layers of a list that fits its input.
    ///
    /// Takes over the builder's `needsInputGradient` and `inputIsDisposable` for its first layer, and leaves them so.
    package init(_ nodes: [LayerNode], _ input: Shape, _ builder: inout LayerBuilder) {
        let (needsInputGradient, inputIsDisposable) = (builder.needsInputGradient, builder.inputIsDisposable)
        var isDisposable = inputIsDisposable
        // A gradient must reach the first layer that learns something.
        var needsGradient = needsInputGradient
        var members: [Member] = []
        if needsInputGradient { builder.note(input) }
        let labels = LayerNode.labels(of: nodes)
        for (index, (place, name)) in zip(nodes.placed(on: input), LayerNode.names(of: nodes)).enumerated() {
            builder.needsInputGradient = needsGradient
            builder.inputIsDisposable = isDisposable
            let hasParameters = place.node.layer.parameters(of: place.input).contains { $0.role.isTrained }
            builder.previous = members.last?.layer
            builder.following = index + 1 < nodes.count ? nodes[index + 1].layer : nil
            let layer = place.node.layer.make(place.input, &builder)
            members.append(
                Member(
                    layer: layer, piecewise: layer as? any PiecewiseLayer,
                    number: place.node.layer.contents(of: place.input).isEmpty ? builder.nextLayer() : nil,
                    input: place.input, output: place.output, name: name, label: labels[index]))
            if (layer as? ConvolutionLayer)?.takesOutputGradient ?? true { builder.note(place.output) }
            isDisposable = !layer.needsOutput
            needsGradient = needsGradient || hasParameters
        }
        for (index, next) in members.enumerated().dropFirst() {
            guard let activation = next.layer as? ActivationLayer, activation.isRectifierInPlace else { continue }
            members[index - 1].rectifies = members[index - 1].layer.finishes.contains(.rectifier)
        }
        self.members = members
        self.input = input
        needsOutput = members.last?.layer.needsOutput ?? !inputIsDisposable
        builder.needsInputGradient = needsInputGradient
        builder.inputIsDisposable = inputIsDisposable
    }

    package func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try forward(x, finish: Finish(), pass)
    }

    package var finishes: FinishOptions { members.last?.layer.finishes ?? [] }

    package func forward(
        _ x: UnsafeMutablePointer<Float>, finish: Finish, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float> {
        var walk = ForwardWalk(x: x, finish: finish)
        while try !advance(&walk, pass) {}
        return walk.x
    }

    /// Whether a layer's passes come in pieces.
    var isPiecewise: Bool { members.contains { $0.piecewise != nil } }

    /// How far a forward pass has come.
    struct ForwardWalk {
        /// What the layers so far gave.
        fileprivate(set) var x: UnsafeMutablePointer<Float>
        let finish: Finish
        fileprivate var index = 0
        fileprivate var isRectified = false
        fileprivate var pieces: LayerPieces?

        init(x: UnsafeMutablePointer<Float>, finish: Finish) {
            self.x = x
            self.finish = finish
        }
    }

    /// Goes forward until a layer waits for other ranks, or to the end; whether that is reached.
    func advance(_ walk: inout ForwardWalk, _ pass: Pass) throws -> Bool {
        while walk.index < members.count {
            let member = members[walk.index]
            if walk.isRectified, let activation = member.layer as? ActivationLayer {
                Trace.layer("forward \(member.label)") { pass.within(member.name) { activation.adopt(walk.x, pass) } }
                walk.isRectified = false
                walk.index += 1
                continue
            }
            let start = pass.times.clock()
            defer { if let number = member.number { pass.times.addForward(number, since: start) } }
            if let layer = member.piecewise {
                var pieces = walk.pieces ?? layer.forwardPieces(walk.x, pass)
                let result = try Trace.layer("forward \(member.label)") { try pass.within(member.name) { try pieces.run() } }
                walk.pieces = pieces.areDone ? nil : pieces
                guard pieces.areDone else { return false }
                walk.x = result!
            } else {
                walk.isRectified = member.rectifies
                let isLast = walk.index == members.count - 1
                let own = isLast ? walk.finish : Finish(rectified: walk.isRectified)
                let x = walk.x
                walk.x = try Trace.layer("forward \(member.label)") {
                    try pass.within(member.name) { try member.layer.forward(x, finish: own, pass) }
                }
            }
            walk.index += 1
        }
        return true
    }

    package func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        try backward(dy, step: nil, keeping: false, into: nil, pass)
    }

    package var gradientOptions: GradientOptions { [.keeping, .sum, .strided] }

    /// - Precondition: without layers, `sum` is not dy.
    package func backward(
        _ dy: UnsafeMutablePointer<Float>, step: Int?, keeping: Bool, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        try backward(dy, members.indices, step: step, keeping: keeping, into: sum, pass)
    }

    /// Goes backward through some of the layers, which follow each other.
    package func backward(
        _ dy: UnsafeMutablePointer<Float>, _ range: Range<Int>, step: Int? = nil, keeping: Bool = false,
        into sum: UnsafeMutablePointer<Float>? = nil, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        var walk = BackwardWalk(dy, range, step: step, keeping: keeping)
        while try !advance(&walk, into: sum, pass) {}
        return walk.gradient
    }

    /// How far a backward pass through some of the layers has come.
    struct BackwardWalk {
        /// What the layers so far gave.
        fileprivate(set) var gradient: UnsafeMutablePointer<Float>?
        fileprivate let range: Range<Int>
        fileprivate let step: Int?
        fileprivate let keeping: Bool
        /// Layers from here on are done.
        fileprivate var end: Int
        fileprivate var pieces: LayerPieces?

        fileprivate init(_ dy: UnsafeMutablePointer<Float>, _ range: Range<Int>, step: Int?, keeping: Bool) {
            precondition(step == nil || keeping, "a gradient among others stays where it is")
            gradient = dy
            self.range = range
            self.step = step
            self.keeping = keeping
            end = range.upperBound
        }
    }

    /// A backward pass through all layers, before its beginning.
    func backwardWalk(_ dy: UnsafeMutablePointer<Float>, step: Int?, keeping: Bool) -> BackwardWalk {
        BackwardWalk(dy, members.indices, step: step, keeping: keeping)
    }

    /// Goes backward until a layer waits for other ranks, or to the end; whether that is reached.
    /// - Parameter sum: what the gradient of the input is added to, in the end.
    func advance(_ walk: inout BackwardWalk, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass) throws -> Bool {
        let range = walk.range
        guard !range.isEmpty else {
            let dy = walk.gradient!
            if let sum {
                try pass.move(dy, step: walk.step, input, to: sum, accumulating: true)
                if !walk.keeping { pass.pool.give(dy) }
                walk.gradient = sum
            } else if walk.keeping {
                walk.gradient = try copy(dy, walk.step, input, pass)
            }
            return true
        }
        while walk.end > range.lowerBound {
            let index = walk.end - 1
            guard let dy = walk.gradient else { return true }
            let member = members[index]
            let start = pass.times.clock()
            let isLast = walk.end == range.upperBound
            let (step, keeping) = (isLast ? walk.step : nil, isLast && walk.keeping)
            let sumBefore = index - 1 == range.lowerBound ? sum : nil
            if index > range.lowerBound, sumBefore != dy, let normalization = member.layer as? BatchNormalizationLayer,
                let convolution = members[index - 1].layer as? ConvolutionLayer, convolution.goesThrough(pass)
            {
                let through = try Trace.layer("backward \(member.label)") { try normalization.gradient(dy, step: step, pass) }
                pass.times.addBackward(member.number!, since: start)
                let middle = pass.times.clock()
                walk.gradient = try Trace.layer("backward \(members[index - 1].label)") {
                    try convolution.backward(through: through, into: sumBefore, pass)
                }
                if !keeping { pass.pool.give(dy) }
                walk.end -= 2
                pass.times.addBackward(members[index - 1].number!, since: middle)
                continue
            }
            defer { if let number = member.number { pass.times.addBackward(number, since: start) } }
            let own = index == range.lowerBound ? sum : nil
            if let layer = member.piecewise {
                var pieces = try walk.pieces ?? layer.backwardPieces(given(dy, member, step: step, keeping: keeping, pass), pass)
                let dx = try Trace.layer("backward \(member.label)") { try pieces.run() }
                walk.pieces = pieces.areDone ? nil : pieces
                guard pieces.areDone else { return false }
                walk.gradient = try added(dx, to: own, member, pass)
            } else {
                walk.gradient = try Trace.layer("backward \(member.label)") {
                    try backward(dy, member, step: step, keeping: keeping, into: own, pass)
                }
            }
            walk.end -= 1
        }
        return true
    }

    /// What a layer cannot do on its way is done by passes of its own.
    private func backward(
        _ dy: UnsafeMutablePointer<Float>, _ member: Member, step: Int?, keeping: Bool, into sum: UnsafeMutablePointer<Float>?,
        _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        let options = member.layer.gradientOptions
        // A layer that reads dy while it writes the sum would read what it wrote.
        let own = sum == dy || !options.contains(.sum) ? nil : sum
        let given = try given(dy, member, step: step, keeping: keeping, pass)
        let dx =
            given == dy
            ? try member.layer.backward(dy, step: step, keeping: keeping, into: own, pass)
            : try member.layer.backward(given, step: nil, keeping: false, into: own, pass)
        return own == nil ? try added(dx, to: sum, member, pass) : dx
    }

    /// The gradient as a layer takes it: a copy, where it cannot keep it or read it among others.
    private func given(
        _ dy: UnsafeMutablePointer<Float>, _ member: Member, step: Int?, keeping: Bool, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float> {
        let options = member.layer.gradientOptions
        let isCopied = keeping && !options.contains(.keeping) || step != nil && !options.contains(.strided)
        return isCopied ? try copy(dy, step, member.output, pass) : dy
    }

    /// The gradient of a layer's input, added to a sum where there is one.
    private func added(
        _ dx: UnsafeMutablePointer<Float>?, to sum: UnsafeMutablePointer<Float>?, _ member: Member, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        guard let sum else { return dx }
        return try pass.joined(sum, dx, isNeeded: true, count: pass.samples * member.input.count)
    }

    /// A gradient side by side, in a buffer of its own.
    private func copy(
        _ dy: UnsafeMutablePointer<Float>, _ step: Int?, _ shape: Shape, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float> {
        let copy = pass.pool.take()
        try pass.move(dy, step: step, shape, to: copy)
        return copy
    }

    package func planBackward(_ plan: inout GradientPlan) {
        for member in members.reversed() { member.layer.planBackward(&plan) }
    }
}
