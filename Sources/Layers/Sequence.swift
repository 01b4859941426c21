import Tensors

/// Layers one after the other, as they run.
package final class LayerSequence: Layer {
    private struct Member {
        let layer: any Layer
        /// Number of a layer that contains no others, by which its time is counted.
        let number: Int?
        let name: String
    }

    private let members: [Member]
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
        for (place, name) in zip(nodes.placed(on: input), LayerNode.names(of: nodes)) {
            builder.needsInputGradient = needsGradient
            builder.inputIsDisposable = isDisposable
            let hasParameters = place.node.layer.parameters(of: place.input).contains { $0.role.isTrained }
            let layer = place.node.layer.make(place.input, &builder)
            members.append(
                Member(layer: layer, number: place.node.layer.contents(of: place.input).isEmpty ? builder.nextLayer() : nil, name: name))
            builder.note(place.output)
            isDisposable = !layer.needsOutput
            needsGradient = needsGradient || hasParameters
        }
        self.members = members
        needsOutput = members.last?.layer.needsOutput ?? !inputIsDisposable
        builder.needsInputGradient = needsInputGradient
        builder.inputIsDisposable = inputIsDisposable
    }

    package func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        var x = x
        for member in members {
            let start = pass.times.clock()
            x = try pass.inspector.map { try $0.within(member.name) { try member.layer.forward(x, pass) } } ?? member.layer.forward(x, pass)
            if let number = member.number { pass.times.addForward(number, since: start) }
        }
        return x
    }

    package func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        try backward(dy, members.indices, pass)
    }

    /// Goes backward through some of the layers, which follow each other.
    package func backward(
        _ dy: UnsafeMutablePointer<Float>, _ range: Range<Int>, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        var gradient: UnsafeMutablePointer<Float>? = dy
        for member in members[range].reversed() {
            guard let dy = gradient else { return nil }
            let start = pass.times.clock()
            gradient = try member.layer.backward(dy, pass)
            if let number = member.number { pass.times.addBackward(number, since: start) }
        }
        return gradient
    }

    package func planBackward(_ plan: inout GradientPlan) {
        for member in members.reversed() { member.layer.planBackward(&plan) }
    }
}
