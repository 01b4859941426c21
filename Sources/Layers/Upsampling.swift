import Kernels

/// Every pixel twice in each direction: nearest-neighbour upsampling by two.
package struct Upsampling: LayerDescription {
    package static let kind = "upsampling"

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
