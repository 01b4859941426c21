import Kernels
import Memory

@section("dtrain_layers") @used private let entryOfMaxPooling: LayerCatalog.Entry = { LayerCatalog.add(MaxPooling.self, to: $0) }
@section("dtrain_layers") @used private let entryOfAveragePooling: LayerCatalog.Entry = { LayerCatalog.add(AveragePooling.self, to: $0) }

/// The largest value of each window of size x size pixels, side by side; pixels past the last whole window are ignored.
package struct MaxPooling: LayerDescription {
    package static let kind = "max-pooling"
    package static let result = "(h / size, w / size, c)"
    package static let example: String? = "max-pooling: 2"
    package var size = 2
    /// Whether negative results become 0 (ReLU): the same as rectifying before, with less to do.
    package var rectified = false

    package init() {}
    package init(_ size: Int, rectified: Bool = false) {
        self.size = size
        self.rectified = rectified
    }

    package static var members: [Member<MaxPooling>] {
        [.integer("size", \.size, 1...16), .flag("rectified", \.rectified)]
    }

    package func output(of input: Shape) throws(ShapeError) -> Shape { try pooled(input, size) }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer {
        MaxPoolingLayer(self, input, &builder)
    }
}

/// The mean of each window of size x size pixels, side by side; pixels past the last whole window are ignored.
package struct AveragePooling: LayerDescription {
    package static let kind = "average-pooling"
    package static let result = "(h / size, w / size, c)"
    package static let example: String? = "average-pooling: 2"
    package var size = 2

    package init() {}
    package init(_ size: Int) { self.size = size }

    package static var members: [Member<AveragePooling>] { [.integer("size", \.size, 1...16)] }

    package func output(of input: Shape) throws(ShapeError) -> Shape { try pooled(input, size) }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer {
        AveragePoolingLayer(self, input, &builder)
    }
}

private func pooled(_ input: Shape, _ size: Int) throws(ShapeError) -> Shape {
    guard input.height >= size, input.width >= size else {
        throw ShapeError("windows of \(size)x\(size) do not fit a map of \(input); hint: a smaller size")
    }
    return Shape(height: input.height / size, width: input.width / size, channels: input.channels)
}

final class MaxPoolingLayer: Layer {
    private let kernel: Pooling
    let isRectified: Bool
    private let channels: Int
    /// (samples, output), and where in its window each was.
    let y: UnsafeMutablePointer<Float>
    let winners: UnsafeMutablePointer<UInt8>
    private let needsInputGradient: Bool
    /// Whether the convolution before makes y, and of dy what it needs.
    private let isMadeBefore: Bool
    /// Where it rectifies, y tells where no gradient passes.
    var needsOutput: Bool { isRectified }

    init(_ description: MaxPooling, _ input: Shape, _ builder: inout LayerBuilder) {
        kernel = Pooling(height: input.height, width: input.width, channels: input.channels, window: description.size)
        isRectified = description.rectified
        channels = input.channels
        y = builder.activation(Shape(height: kernel.outputHeight, width: kernel.outputWidth, channels: input.channels))
        winners = builder.carver.carve(UInt8.self, count: builder.samples * kernel.outputCount).baseAddress!
        needsInputGradient = builder.needsInputGradient
        let convolution = builder.previous as? ConvolutionLayer
        isMadeBefore = convolution?.isPooled ?? false
        convolution?.pooling = self
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        if !isMadeBefore {
            try pass.forEach(pass.samples * kernel.items) { item, _ in
                let (sample, row) = (item / kernel.items, item % kernel.items)
                kernel.maximum(
                    x: x + sample &* kernel.inputCount, y: y + sample &* kernel.outputCount,
                    winners: winners + sample &* kernel.outputCount, rectified: isRectified, item: row)
            }
        }
        if isRectified {
            pass.inspector?.rectified(y, rows: pass.samples * kernel.outputHeight * kernel.outputWidth, channels: channels)
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        // The convolution before takes the gradient of the pooled values as it is.
        if isMadeBefore { return dy }
        defer { pass.pool.give(dy) }
        return needsInputGradient ? try spread(dy, pass) : nil
    }

    /// Each window's gradient to its winner: (samples, input), a buffer of the pool. `dy` stays.
    func spread(_ dy: UnsafePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        let dx = pass.pool.take()
        try pass.forEach(pass.samples * kernel.items) { item, _ in
            let (sample, row) = (item / kernel.items, item % kernel.items)
            kernel.maximumBackward(
                dy: dy + sample &* kernel.outputCount, winners: winners + sample &* kernel.outputCount,
                y: isRectified ? UnsafePointer(y + sample &* kernel.outputCount) : nil, dx: dx + sample &* kernel.inputCount,
                item: row)
        }
        return dx
    }
}

private final class AveragePoolingLayer: Layer {
    private let kernel: Pooling
    private let y: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool

    init(_ description: AveragePooling, _ input: Shape, _ builder: inout LayerBuilder) {
        kernel = Pooling(height: input.height, width: input.width, channels: input.channels, window: description.size)
        y = builder.activation(Shape(height: kernel.outputHeight, width: kernel.outputWidth, channels: input.channels))
        needsInputGradient = builder.needsInputGradient
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try pass.forEach(pass.samples * kernel.items) { item, _ in
            let (sample, row) = (item / kernel.items, item % kernel.items)
            kernel.average(x: x + sample &* kernel.inputCount, y: y + sample &* kernel.outputCount, item: row)
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        defer { pass.pool.give(dy) }
        guard needsInputGradient else { return nil }
        let dx = pass.pool.take()
        try pass.forEach(pass.samples * kernel.items) { item, _ in
            let (sample, row) = (item / kernel.items, item % kernel.items)
            kernel.averageBackward(dy: dy + sample &* kernel.outputCount, dx: dx + sample &* kernel.inputCount, item: row)
        }
        return dx
    }
}

// MARK: Export

extension MaxPooling {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        var name = pooled("MaxPool", size, x, place, &graph)
        if rectified { name = graph.node("Relu", [name], layer: place.name) }
        return ONNXValue(name: name, shape: place.output, isMap: true)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        let pooled = "F.max_pool2d(\(x.name), \(size))"
        module.line("\(x.name) = \(rectified ? "F.relu(\(pooled))" : pooled)")
        return x.holding(place.output, isMap: true)
    }
}

extension AveragePooling {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        ONNXValue(name: pooled("AveragePool", size, x, place, &graph), shape: place.output, isMap: true)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        module.line("\(x.name) = F.avg_pool2d(\(x.name), \(size))")
        return x.holding(place.output, isMap: true)
    }
}

private func pooled(
    _ operation: String, _ size: Int, _ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph
) -> String {
    graph.node(
        operation, [graph.map(x, layer: place.name).name], layer: place.name,
        ["kernel_shape": .integers([size, size]), "strides": .integers([size, size])])
}
