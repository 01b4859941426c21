import Kernels

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Upsampling.self, to: $0) }

/// Every pixel twice in each direction: nearest-neighbour upsampling by two.
package struct Upsampling: LayerDescription {
    package static let kind = "upsampling"
    package static let result = "(2 h, 2 w, c)"
    package static let example: String? = "upsampling"

    package init() {}

    package static var members: [Member<Upsampling>] { [] }

    package func output(of input: Shape) -> Shape {
        Shape(height: 2 * input.height, width: 2 * input.width, channels: input.channels)
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { UpsamplingLayer(input, &builder) }
}

private final class UpsamplingLayer: Layer {
    private let kernel: Kernels.Upsampling
    private let inputCount: Int
    private let y: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool

    init(_ input: Shape, _ builder: inout LayerBuilder) {
        kernel = Kernels.Upsampling(height: input.height, width: input.width, channels: input.channels)
        inputCount = input.count
        y = builder.activation(Upsampling().output(of: input))
        needsInputGradient = builder.needsInputGradient
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try pass.forEach(pass.samples * kernel.items) { item, _ in
            let (sample, row) = (item / kernel.items, item % kernel.items)
            kernel.forward(x: x + sample &* inputCount, y: y + sample &* 4 &* inputCount, item: row)
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        defer { pass.pool.give(dy) }
        guard needsInputGradient else { return nil }
        let dx = pass.pool.take()
        try pass.forEach(pass.samples * kernel.items) { item, _ in
            let (sample, row) = (item / kernel.items, item % kernel.items)
            kernel.backward(dy: dy + sample &* 4 &* inputCount, dx: dx + sample &* inputCount, item: row)
        }
        return dx
    }
}

// MARK: Export

extension Upsampling {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        let x = graph.map(x, layer: place.name)
        let scales = graph.constant(place.inside("scales"), [1, 1, 2, 2], [4])
        let name = graph.node(
            "Resize", [x.name, "", scales], layer: place.name,
            ["mode": .text("nearest"), "coordinate_transformation_mode": .text("asymmetric"), "nearest_mode": .text("floor")])
        return ONNXValue(name: name, shape: place.output, isMap: true)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        module.line("\(x.name) = F.interpolate(\(x.name), scale_factor=2, mode=\"nearest\")")
        return x.holding(place.output, isMap: true)
    }
}
