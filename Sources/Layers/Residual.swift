import Tensors

/// y = layers(x) + skip(x); without a skip of its own, + x (He et al. 2016).
package struct Residual: LayerDescription {
    package static let kind = "residual"
    package var layers: [LayerNode] = []
    /// What the input goes through beside the layers; none: nothing.
    package var skip: [LayerNode] = []

    package init() {}
    package init(_ layers: [LayerNode], skip: [LayerNode] = []) {
        self.layers = layers
        self.skip = skip
    }

    package static var members: [Member<Residual>] { [.layers("layers", \.layers), .layers("skip", \.skip)] }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard !layers.isEmpty else { throw ShapeError("residual has no layers; hint: layers: [...]") }
        let output = try layers.output(of: input)
        let beside: Shape
        do { beside = try skip.output(of: input) } catch { throw error.inside("skip", line: nil) }
        guard output == beside else {
            throw ShapeError(
                "the layers give \(output), the skip \(beside): they cannot be added; hint: a skip with a convolution of kernel 1")
        }
        return output
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        layers.parameters(of: input) + skip.parameters(of: input).map { $0.inside("skip") }
    }

    package func operations(of input: Shape) -> Double { layers.operations(of: input) + skip.operations(of: input) }

    package func contents(of input: Shape) -> [LayerList] {
        [LayerList(layers, input: input)] + (skip.isEmpty ? [] : [LayerList(skip, named: "skip", input: input)])
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { ResidualLayer(self, input, &builder) }
}

private final class ResidualLayer: Layer {
    private let body: LayerSequence
    private let skip: LayerSequence?
    private let inputCount, count: Int
    /// Where y goes, if not in the place of the body's output.
    private let output: UnsafeMutablePointer<Float>?
    private let needsInputGradient: Bool

    var contents: [any Layer] { [body] + (skip.map { [$0] } ?? []) }

    init(_ description: Residual, _ input: Shape, _ builder: inout LayerBuilder) {
        let isDisposable = builder.inputIsDisposable
        builder.inputIsDisposable = false
        needsInputGradient = builder.needsInputGradient
        let shape = description.layers.placed(on: input).last!.output
        body = LayerSequence(description.layers, input, &builder)
        skip = description.skip.isEmpty ? nil : LayerSequence(description.skip, input, &builder)
        output = body.needsOutput ? builder.activation(shape) : nil
        inputCount = input.count
        count = shape.count
        builder.inputIsDisposable = isDisposable
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        let one = try body.forward(x, pass)
        let other = try skip?.forward(x, pass) ?? x
        let y = output ?? one
        try pass.forEachValue(pass.samples * count) { range in
            for index in range { y[index] = one[index] + other[index] }
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        let copy = pass.pool.take()
        try pass.forEachValue(pass.samples * count) { range in
            (copy + range.lowerBound).update(from: dy + range.lowerBound, count: range.count)
        }
        let one = try body.backward(copy, pass)
        let other = try skip.map { try $0.backward(dy, pass) } ?? dy
        return try pass.joined(one, other, isNeeded: needsInputGradient, count: pass.samples * inputCount)
    }

    func planBackward(_ plan: inout GradientPlan) {
        plan.take()
        body.planBackward(&plan)
        skip?.planBackward(&plan)
        plan.give()
    }
}
