import Kernels

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Channels.self, to: $0) }

/// Some channels of every position: first ..< end. With `branches` it takes apart what was concatenated.
package struct Channels: LayerDescription {
    package static let kind = "channels"
    package static let result = "those channels"
    package static let example: String? = "channels: [16, 48]"
    /// First channel and the channel after the last.
    package var range: [Int] = []

    package init() {}
    package init(_ range: Range<Int>) { self.range = [range.lowerBound, range.upperBound] }

    package static var members: [Member<Channels>] { [.integers("range", \.range)] }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard range.count == 2, range[0] < range[1], range[1] <= input.channels else {
            throw ShapeError("channels \(range) of \(input); hint: range: [first, end] within 0 to \(input.channels)")
        }
        return Shape(height: input.height, width: input.width, channels: range[1] - range[0])
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { ChannelsLayer(self, input, &builder) }
}

final class ChannelsLayer: Layer {
    private let input, output: Shape
    private let first: Int
    /// Nil where the 1x1 convolution behind reads its channels from x itself.
    private let y: UnsafeMutablePointer<Float>?
    private let needsInputGradient: Bool

    init(_ description: Channels, _ input: Shape, _ builder: inout LayerBuilder) {
        self.input = input
        first = description.range[0]
        output = Shape(height: input.height, width: input.width, channels: description.range[1] - first)
        if let convolution = builder.following as? Convolution, convolution.kernel == 1, convolution.stride == 1 {
            builder.note(output)
            y = nil
        } else {
            y = builder.activation(output)
        }
        needsInputGradient = builder.needsInputGradient
    }

    /// Floats from a position of what `forward` returns to the next, for a convolution behind; nil: side by side.
    var outputStep: Int? { y == nil ? input.channels : nil }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try forward(x, finish: Finish(), pass)
    }

    var finishes: FinishOptions { .place }

    func forward(_ x: UnsafeMutablePointer<Float>, finish: Finish, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        guard let y = finish.place?.start ?? y else { return x + first }
        try pass.move(x + first, step: input.channels, output, to: y, yStep: finish.place?.step)
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        try backward(dy, step: nil, keeping: false, into: nil, pass)
    }

    var gradientOptions: GradientOptions { [.keeping, .sum, .strided] }

    func backward(
        _ dy: UnsafeMutablePointer<Float>, step: Int?, keeping: Bool, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        defer { if !keeping { pass.pool.give(dy) } }
        guard needsInputGradient else { return nil }
        if let sum {
            try pass.move(dy, step: step, output, to: sum + first, yStep: input.channels, accumulating: true)
            return sum
        }
        let dx = pass.pool.take()
        let (all, count) = (input.channels, output.channels)
        try pass.forEachPositions(of: input) { positions in
            for position in positions {
                let row = dx + position &* all
                row.update(repeating: 0, count: first)
                (row + (first &+ count)).update(repeating: 0, count: all &- first &- count)
            }
            let (start, from) = (positions.lowerBound, step ?? count)
            ChannelRows.move(
                dy + start &* from, step: from, to: dx + (start &* all &+ first), step: all, rows: positions.count, channels: count)
        }
        return dx
    }
}

// MARK: Export

extension Channels {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        ONNXValue(
            name: graph.slice(x.name, axis: 1, range[0]..<range[1], layer: place.name), shape: place.output, isMap: x.isMap)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        module.line("\(x.name) = \(x.name)[:, \(range[0]):\(range[1])]")
        return x.holding(place.output, isMap: x.isMap)
    }
}
