import Kernels
import Memory

/// Joints as expectations over the map: softmax of each joint's scores over the positions, times position + offset
/// (soft-argmax: Sun et al. 2018, "Integral human pose regression"; with offsets: Fang et al. 2020, JGR-P2O).
///
/// Input: (h, w, 4 joints): scores, then offsets du, dv, dd, each a channel a joint. Output: (u, v, d) of each joint in crop
/// coordinates, -1 to 1 over the crop: u = sum over p of w(p) (u(p) + du(p)), v alike, with u(p), v(p) the cell's centre;
/// d = sum over p of w(p) (d(p) + dd(p)), with d(p) the input at the cell's centre, or 0.
package struct SoftArgmax: LayerDescription {
    package static let kind = "soft-argmax"
    package var joints = 16
    /// Whether d(p) is the network's input there, so that dd is measured from the hand's surface; else dd is d itself.
    package var depth = false
    /// Whether the scores are weights already, each joint's with the sum 1, as `joint-graph` gives them.
    package var normalized = false

    package init() {}
    package init(joints: Int = 16, depth: Bool = false, normalized: Bool = false) {
        self.joints = joints
        self.depth = depth
        self.normalized = normalized
    }

    package static var members: [Member<SoftArgmax>] {
        [.integer("joints", \.joints), .flag("depth", \.depth), .flag("normalized", \.normalized)]
    }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard input.channels == 4 * joints else {
            throw ShapeError(
                "soft-argmax of \(joints) joints takes \(4 * joints) channels (scores, du, dv, dd), not \(input); "
                    + "hint: a convolution to \(4 * joints) channels before it")
        }
        return Shape(vector: 3 * joints)
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { SoftArgmaxLayer(self, input, &builder) }
}

private final class SoftArgmaxLayer: Layer {
    private let joints: Int
    private let map: Shape
    private let readsDepth, isNormalized: Bool
    private let y: UnsafeMutablePointer<Float>
    /// (samples, positions, joints).
    private let weights: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool
    private var x: UnsafeMutablePointer<Float>!

    init(_ description: SoftArgmax, _ input: Shape, _ builder: inout LayerBuilder) {
        joints = description.joints
        map = input
        readsDepth = description.depth
        isNormalized = description.normalized
        y = builder.activation(Shape(vector: 3 * joints))
        weights = builder.carver.floats(builder.samples * input.positions * joints)
        builder.needScratch(4 * joints)
        needsInputGradient = builder.needsInputGradient
    }

    /// The centre of a cell in crop coordinates.
    private static func centre(_ cell: Int, of cells: Int) -> Float { Float(2 * cell + 1) / Float(cells) - 1 }

    /// The network's input at the centre of a cell.
    private func depth(_ sample: Int, _ row: Int, _ column: Int, _ pass: Pass) -> Float {
        guard readsDepth else { return 0 }
        let shape = pass.inputShape
        let (v, u) = ((2 * row + 1) * shape.height / (2 * map.height), (2 * column + 1) * shape.width / (2 * map.width))
        return pass.input[sample &* shape.count &+ (v &* shape.width &+ u) &* shape.channels]
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        self.x = x
        try pass.forEach(pass.samples) { sample, thread in
            let scores = x + sample &* map.count
            let weights = weights + sample &* map.positions &* joints
            if isNormalized {
                for position in 0..<map.positions {
                    (weights + position &* joints).update(from: scores + position &* map.channels, count: joints)
                }
            } else {
                MapSoftmax.forward(
                    scores: scores, stride: map.channels, positions: map.positions, channels: joints, weights: weights,
                    scratch: pass.scratch(thread))
            }
            let target = y + sample &* 3 &* joints
            target.update(repeating: 0, count: 3 * joints)
            for row in 0..<map.height {
                let v = Self.centre(row, of: map.height)
                for column in 0..<map.width {
                    let (u, d) = (Self.centre(column, of: map.width), depth(sample, row, column, pass))
                    let position = row &* map.width &+ column
                    let (w, values) = (weights + position &* joints, scores + position &* map.channels)
                    for joint in 0..<joints {
                        let place = target + 3 &* joint
                        place[0] += w[joint] * (u + values[joints &+ joint])
                        place[1] += w[joint] * (v + values[2 &* joints &+ joint])
                        place[2] += w[joint] * (d + values[3 &* joints &+ joint])
                    }
                }
            }
        }
        if !isNormalized { pass.inspector?.softmax(weights, samples: pass.samples, positions: map.positions, joints: joints) }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        defer { pass.pool.give(dy) }
        guard needsInputGradient else { return nil }
        let dx = pass.pool.take()
        try pass.forEach(pass.samples) { sample, thread in
            let (values, target) = (x + sample &* map.count, dx + sample &* map.count)
            let weights = weights + sample &* map.positions &* joints
            let gradient = dy + sample &* 3 &* joints
            for row in 0..<map.height {
                let v = Self.centre(row, of: map.height)
                for column in 0..<map.width {
                    let (u, d) = (Self.centre(column, of: map.width), depth(sample, row, column, pass))
                    let position = row &* map.width &+ column
                    let (w, values) = (weights + position &* joints, values + position &* map.channels)
                    let target = target + position &* map.channels
                    for joint in 0..<joints {
                        let (gu, gv, gd) = (gradient[3 &* joint], gradient[3 &* joint &+ 1], gradient[3 &* joint &+ 2])
                        target[joint] =
                            gu * (u + values[joints &+ joint]) + gv * (v + values[2 &* joints &+ joint])
                            + gd * (d + values[3 &* joints &+ joint])
                        target[joints &+ joint] = w[joint] * gu
                        target[2 &* joints &+ joint] = w[joint] * gv
                        target[3 &* joints &+ joint] = w[joint] * gd
                    }
                }
            }
            if !isNormalized {
                MapSoftmax.backward(
                    weights: weights, positions: map.positions, channels: joints, gradient: target, stride: map.channels,
                    scratch: pass.scratch(thread))
            }
        }
        return dx
    }
}
