import Kernels
import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(SoftArgmax.self, to: $0) }

/// Joints as expectations over the map: softmax of each joint's scores over the positions, times position + offset
/// (soft-argmax: Sun et al. 2018, "Integral human pose regression"; with offsets: Fang et al. 2020, JGR-P2O).
///
/// Input: (h, w, 4 joints): scores, then offsets du, dv, dd, each a channel a joint. Output: (u, v, d) of each joint in crop
/// coordinates, -1 to 1 over the crop: u = sum over p of w(p) (u(p) + du(p)), v alike, with u(p), v(p) the cell's centre;
/// d = sum over p of w(p) (d(p) + dd(p)), with d(p) the input at the cell's centre, or 0.
package struct SoftArgmax: LayerDescription {
    package static let kind = "soft-argmax"
    package static let result = "u, v, d of each joint, from 4 joints channels"
    package static let example: String? = "soft-argmax: {depth: true}"
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

// MARK: Export

extension SoftArgmax {
    /// The centre of a cell in crop coordinates.
    private static func centre(_ cell: Int, of cells: Int) -> Float { Float(2 * cell + 1) / Float(cells) - 1 }

    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        let (layer, map, positions) = (place.name, place.input, place.input.positions)
        let x = graph.map(x, layer: layer).name
        // w: (N, 1, joints, positions).
        var weights = graph.reshape(
            graph.slice(x, axis: 1, 0..<joints, layer: layer), [0, 1, joints, positions], layer: layer)
        if !normalized { weights = graph.node("Softmax", [weights], layer: layer, ["axis": .integer(-1)]) }
        // Position + offset: (N, 3, joints, positions).
        let offsets = graph.reshape(
            graph.slice(x, axis: 1, joints..<4 * joints, layer: layer), [0, 3, joints, positions], layer: layer)
        let rows = (0..<positions).map { Self.centre($0 / map.width, of: map.height) }
        let columns = (0..<positions).map { Self.centre($0 % map.width, of: map.width) }
        let centres = graph.constant(
            place.inside("centres"), columns + rows + [Float](repeating: 0, count: positions), [1, 3, 1, positions])
        var places = graph.node("Add", [offsets, centres], layer: layer)
        if depth { places = graph.node("Add", [places, surface(place, &graph)], layer: layer) }
        let axes = graph.constant(place.inside("axes"), integers: [3])
        let sums = graph.node(
            "ReduceSum", [graph.node("Mul", [weights, places], layer: layer), axes], layer: layer, ["keepdims": .integer(0)])
        let turned = graph.node("Transpose", [sums], layer: layer, ["perm": .integers([0, 2, 1])])
        return ONNXValue(name: graph.reshape(turned, [0, 3 * joints], layer: layer), shape: place.output, isMap: false)
    }

    /// The network's input at each cell's centre, added to d alone: (N, 3, 1, positions).
    private func surface(_ place: ExportPlace, _ graph: inout ONNXGraph) -> String {
        let (layer, map, shape) = (place.name, place.input, graph.input.shape)
        let flat = graph.reshape(graph.input.name, [0, shape.count], layer: layer)
        let cells = graph.constant(place.inside("cells"), integers: Self.cells(map, of: shape))
        let depths = graph.node("Gather", [flat, cells], layer: layer, ["axis": .integer(1)])
        let mask = graph.constant(place.inside("depth-alone"), [0, 0, 1], [1, 3, 1, 1])
        return graph.node("Mul", [graph.reshape(depths, [0, 1, 1, map.positions], layer: layer), mask], layer: layer)
    }

    /// The input's pixel at the centre of each cell.
    private static func cells(_ map: Shape, of shape: Shape) -> [Int] {
        (0..<map.positions).map { position in
            let (row, column) = (position / map.width, position % map.width)
            let (v, u) = ((2 * row + 1) * shape.height / (2 * map.height), (2 * column + 1) * shape.width / (2 * map.width))
            return (v * shape.width + u) * shape.channels
        }
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        module.helper(
            "soft_argmax",
            """
            def soft_argmax(x, joints, image=None, normalized=False):
                \"\"\"(N, 4 joints, rows, columns), scores and offsets du, dv, dd, to (N, 3 joints): the mean of position + offset.\"\"\"
                n, _, rows, columns = x.shape
                weights = x[:, :joints].reshape(n, 1, joints, -1)
                if not normalized:
                    weights = weights.softmax(-1)
                row, column = torch.arange(rows, device=x.device), torch.arange(columns, device=x.device)
                v, u = (2 * row + 1) / rows - 1, (2 * column + 1) / columns - 1
                d = x.new_zeros(n, rows, columns)
                if image is not None:  # depths are measured from the surface
                    v_pixels = (2 * row + 1) * image.shape[2] // (2 * rows)
                    u_pixels = (2 * column + 1) * image.shape[3] // (2 * columns)
                    d = image[:, 0, v_pixels][:, :, u_pixels]
                places = torch.stack([u[None, None, :].expand_as(d), v[None, :, None].expand_as(d), d], 1)
                places = places.reshape(n, 3, 1, -1) + x[:, joints:].reshape(n, 3, joints, -1)
                return (weights * places).sum(-1).transpose(1, 2).reshape(n, 3 * joints)
            """)
        var arguments = [x.name, "\(joints)"]
        if depth { arguments.append("image=image") }
        if normalized { arguments.append("normalized=True") }
        module.line("\(x.name) = soft_argmax(\(arguments.joined(separator: ", ")))")
        return x.holding(place.output, isMap: false)
    }
}
