import Tensors

/// Some channels of every position: first ..< end. With `branches` it takes apart what was concatenated.
package struct Channels: LayerDescription {
    package static let kind = "channels"
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

private final class ChannelsLayer: Layer {
    private let positions, all, first, count: Int
    private let y: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool

    init(_ description: Channels, _ input: Shape, _ builder: inout LayerBuilder) {
        positions = input.positions
        all = input.channels
        first = description.range[0]
        count = description.range[1] - first
        y = builder.activation(Shape(height: input.height, width: input.width, channels: count))
        needsInputGradient = builder.needsInputGradient
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try pass.forEachValue(pass.samples * positions) { range in
            for position in range {
                (y + position &* count).update(from: x + (position &* all &+ first), count: count)
            }
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        defer { pass.pool.give(dy) }
        guard needsInputGradient else { return nil }
        let dx = pass.pool.take()
        try pass.forEachValue(pass.samples * positions) { range in
            (dx + range.lowerBound &* all).update(repeating: 0, count: range.count &* all)
            for position in range {
                (dx + (position &* all &+ first)).update(from: dy + position &* count, count: count)
            }
        }
        return dx
    }
}
