import Memory
import System

/// Layers one after the other, as they run.
package final class LayerSequence: Layer {
    private struct Member {
        let layer: any Layer
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
                    layer: layer, number: place.node.layer.contents(of: place.input).isEmpty ? builder.nextLayer() : nil,
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
        var x = x
        var isRectified = false
        for (index, member) in members.enumerated() {
            if isRectified, let activation = member.layer as? ActivationLayer {
                Trace.layer("forward \(member.label)") { pass.within(member.name) { activation.adopt(x, pass) } }
                isRectified = false
                continue
            }
            let start = pass.times.clock()
            isRectified = member.rectifies
            let isLast = index == members.count - 1
            let own = isLast ? finish : Finish(rectified: isRectified)
            x = try Trace.layer("forward \(member.label)") {
                try pass.within(member.name) { try member.layer.forward(x, finish: own, pass) }
            }
            if let number = member.number { pass.times.addForward(number, since: start) }
        }
        return x
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
        precondition(step == nil || keeping, "a gradient among others stays where it is")
        guard !range.isEmpty else {
            guard let sum else { return keeping ? try copy(dy, step, input, pass) : dy }
            try pass.move(dy, step: step, input, to: sum, accumulating: true)
            if !keeping { pass.pool.give(dy) }
            return sum
        }
        var gradient: UnsafeMutablePointer<Float>? = dy
        var index = range.upperBound
        while index > range.lowerBound {
            index -= 1
            guard let dy = gradient else { return nil }
            let member = members[index]
            let start = pass.times.clock()
            let isLast = index == range.upperBound - 1
            let sumBefore = index - 1 == range.lowerBound ? sum : nil
            if index > range.lowerBound, sumBefore != dy, let normalization = member.layer as? BatchNormalizationLayer,
                let convolution = members[index - 1].layer as? ConvolutionLayer, convolution.goesThrough(pass)
            {
                let through = try Trace.layer("backward \(member.label)") { try normalization.gradient(dy, step: isLast ? step : nil, pass) }
                pass.times.addBackward(member.number!, since: start)
                let middle = pass.times.clock()
                gradient = try Trace.layer("backward \(members[index - 1].label)") {
                    try convolution.backward(through: through, into: sumBefore, pass)
                }
                if !(keeping && isLast) { pass.pool.give(dy) }
                index -= 1
                pass.times.addBackward(members[index].number!, since: middle)
                continue
            }
            gradient = try Trace.layer("backward \(member.label)") {
                try backward(
                    dy, member, step: isLast ? step : nil, keeping: keeping && isLast, into: index == range.lowerBound ? sum : nil,
                    pass)
            }
            if let number = member.number { pass.times.addBackward(number, since: start) }
        }
        return gradient
    }

    /// What a layer cannot do on its way is done by passes of its own.
    private func backward(
        _ dy: UnsafeMutablePointer<Float>, _ member: Member, step: Int?, keeping: Bool, into sum: UnsafeMutablePointer<Float>?,
        _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        let options = member.layer.gradientOptions
        // A layer that reads dy while it writes the sum would read what it wrote.
        let own = sum == dy || !options.contains(.sum) ? nil : sum
        let isCopied = keeping && !options.contains(.keeping) || step != nil && !options.contains(.strided)
        let given = isCopied ? try copy(dy, step, member.output, pass) : dy
        let dx = try member.layer.backward(given, step: isCopied ? nil : step, keeping: keeping && !isCopied, into: own, pass)
        guard let sum, own == nil else { return dx }
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
