import Kernels
import Memory

@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(JointGraph.self, to: $0) }

/// Joints that learn from each other: features are pooled at each joint by its weights over the map, mixed along the bones by
/// a graph convolution (Kipf and Welling 2017), and spread over the map again (Fang et al. 2020, JGR-P2O).
///
/// Input: (h, w, joints + c): scores of each joint, then features f. With w = softmax of the scores over the positions:
///
///     F[j] = sum over p of w[j](p) f(p);   F' = ReLU(A F W);   m(p) = mean over j of w[j](p) F'[j]
///
/// A = D^-1/2 (adjacency + 1) D^-1/2. Output: (h, w, joints + c): w, then m.
package struct JointGraph: LayerDescription {
    package static let kind = "joint-graph"
    package static let result = "weights of the joints, then features"
    package static let example: String? = "joint-graph: {joints: 16}"
    package var joints = 16
    /// Pairs of joints, one after the other; empty: the bones of the ICVL hand.
    package var edges: [Int] = []

    package init() {}

    package static var members: [Member<JointGraph>] {
        [.integer("joints", \.joints, 1...1024), .integers("edges", \.edges, 0...1023)]
    }

    /// Palm to each finger's root, middle and tip.
    private static let hand = [
        0, 1, 1, 2, 2, 3, 0, 4, 4, 5, 5, 6, 0, 7, 7, 8, 8, 9, 0, 10, 10, 11, 11, 12, 0, 13, 13, 14, 14, 15,
    ]

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        guard input.channels > joints else {
            throw ShapeError("joint-graph takes a score a joint (\(joints)) and features, not \(input); hint: branches before it")
        }
        guard input.positions >= joints else {
            throw ShapeError("joint-graph of \(joints) joints needs a map of as many positions, not \(input); hint: less pooling")
        }
        guard !edges.isEmpty || joints == 16 else {
            throw ShapeError("joint-graph knows the bones of 16 joints, not of \(joints); hint: edges: [0, 1, 1, 2]")
        }
        guard edges.count % 2 == 0, edges.allSatisfy({ $0 < joints }) else {
            throw ShapeError("edges must be pairs of joints below \(joints); hint: edges: [0, 1, 1, 2]")
        }
        return input
    }

    package func parameters(of input: Shape) -> [LayerParameterDeclaration] {
        let features = input.channels - joints
        return [
            LayerParameterDeclaration(
                "weight", [features, features], role: .weight, initial: .he(inputs: features))
        ]
    }

    package func operations(of input: Shape) -> Double {
        let features = Double(input.channels - joints)
        return 2 * Double(joints) * features * (2 * Double(input.positions) + features + Double(joints))
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { JointGraphLayer(self, input, &builder) }

    /// Pairs of joints, one after the other.
    package var bones: [Int] { edges.isEmpty ? Self.hand : edges }

    /// A, (joints, joints).
    package var normalizedAdjacency: [Float] {
        var adjacency = [Float](repeating: 0, count: joints * joints)
        let edges = bones
        for joint in 0..<joints { adjacency[joint * joints + joint] = 1 }
        for pair in stride(from: 0, to: edges.count, by: 2) {
            adjacency[edges[pair] * joints + edges[pair + 1]] = 1
            adjacency[edges[pair + 1] * joints + edges[pair]] = 1
        }
        let degrees = (0..<joints).map { adjacency[$0 * joints..<($0 + 1) * joints].reduce(0, +) }
        for row in 0..<joints {
            for column in 0..<joints {
                adjacency[row * joints + column] /= (degrees[row] * degrees[column]).squareRoot()
            }
        }
        return adjacency
    }
}

private final class JointGraphLayer: Layer {
    private let map: Shape
    private let joints, features: Int
    private let adjacency: [Float]
    private let weight: LayerParameter
    private let y: UnsafeMutablePointer<Float>
    /// (samples, positions, joints).
    private let weights: UnsafeMutablePointer<Float>
    /// (samples, joints, features): A F, F', and the gradient before the ReLU.
    private let mixed, joined, gradient: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool
    private var x: UnsafeMutablePointer<Float>!

    init(_ description: JointGraph, _ input: Shape, _ builder: inout LayerBuilder) {
        map = input
        joints = description.joints
        features = input.channels - joints
        adjacency = description.normalizedAdjacency
        weight = builder.parameter()
        y = builder.activation(input)
        weights = builder.carver.floats(builder.samples * input.positions * joints)
        mixed = builder.carver.floats(builder.samples * joints * features)
        joined = builder.carver.floats(builder.samples * joints * features)
        gradient = builder.carver.floats(builder.samples * joints * features)
        builder.needScratch(2 * (joints * features + MapProduct.slack))
        needsInputGradient = builder.needsInputGradient
    }

    /// All products here are of one sample, so their bits are its own.
    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try forward(x, finish: Finish(), pass)
    }

    var finishes: FinishOptions { .place }

    func forward(_ x: UnsafeMutablePointer<Float>, finish: Finish, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        self.x = x
        let (all, positions) = (map.channels, map.positions)
        let (target, step) = finish.place ?? (y, all)
        try pass.forEach(pass.samples) { sample, thread in
            let (x, y) = (x + sample &* map.count, target + sample &* positions &* step)
            let weights = weights + sample &* positions &* joints
            let (mixed, joined) = (mixed + sample &* joints &* features, joined + sample &* joints &* features)
            let scratch = pass.scratch(thread)
            MapSoftmax.forward(
                scores: x, stride: all, positions: positions, channels: joints, weights: weights, scratch: scratch)
            // F = w^T f, (joints, features).
            MapProduct.reduce(
                x: weights, xStep: joints, y: x + joints, yStep: all, positions: positions, rows: joints, columns: features,
                sums: scratch)
            mixJoints(scratch, step: features, into: mixed)
            BLAS.gemm(
                m: joints, n: features, k: features, a: mixed, strideA: features, b: weight.values, strideB: features,
                beta: 0, c: joined, strideC: features)
            OutputHead.relu.forward(joined, count: joints &* features)
            let share = 1 / Float(joints)
            for index in 0..<joints &* features { scratch[index] = joined[index] * share }
            MapProduct.multiply(
                x: weights, xStep: joints, w: scratch, wStep: features, positions: positions, inputs: joints, outputs: features,
                y: y + joints, yStep: step)
            ChannelRows.move(weights, step: joints, to: y, step: step, rows: positions, channels: joints)
        }
        if let inspector = pass.inspector {
            inspector.softmax(weights, samples: pass.samples, positions: map.positions, joints: joints)
            inspector.rectified(joined, rows: pass.samples * joints, channels: features)
        }
        return target
    }

    /// A · values.
    /// - Parameters:
    ///   - values: (joints, features), `step` floats from a joint to the next. result: (joints, features), overwritten.
    private func mixJoints(_ values: UnsafePointer<Float>, step: Int, into result: UnsafeMutablePointer<Float>) {
        adjacency.withUnsafeBufferPointer {
            MapProduct.multiply(
                x: $0.baseAddress!, xStep: joints, w: values, wStep: step, positions: joints, inputs: joints, outputs: features,
                y: result, yStep: features)
        }
    }

    /// Columns of joints become rows, times a factor: (features, joints).
    private func transpose(_ values: UnsafePointer<Float>, factor: Float, into result: UnsafeMutablePointer<Float>) {
        for feature in 0..<features {
            for joint in 0..<joints { result[feature &* joints &+ joint] = values[joint &* features &+ feature] * factor }
        }
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        let (all, positions) = (map.channels, map.positions)
        let dx = needsInputGradient ? pass.pool.take() : nil
        try pass.forEach(pass.samples) { sample, thread in
            let (x, dy) = (x + sample &* map.count, dy + sample &* map.count)
            let weights = weights + sample &* positions &* joints
            let (joined, gradient) = (joined + sample &* joints &* features, gradient + sample &* joints &* features)
            let scratch = pass.scratch(thread)
            let transposed = scratch + (joints &* features &+ MapProduct.slack)
            let share = 1 / Float(joints)
            // dF' = w^T dm, then before the ReLU.
            MapProduct.reduce(
                x: weights, xStep: joints, y: dy + joints, yStep: all, positions: positions, rows: joints, columns: features,
                sums: gradient)
            for index in 0..<joints &* features { gradient[index] *= share }
            OutputHead.relu.backward(outputs: joined, gradient: gradient, count: joints &* features)
            guard let dx = dx.map({ $0 + sample &* map.count }) else { return }
            // Of w, through m and as an output: dw = dm F'^T + dw.
            transpose(joined, factor: share, into: transposed)
            MapProduct.multiply(
                x: dy + joints, xStep: all, w: transposed, wStep: joints, positions: positions, inputs: features,
                outputs: joints, y: dx, yStep: all)
            // dF = A^T (dG W^T); A is symmetric. In the place of df first, which is written last.
            let room = dx + joints
            BLAS.gemm(
                transposeB: true, m: joints, n: features, k: features, a: gradient, strideA: features, b: weight.values,
                strideB: features, beta: 0, c: room, strideC: all)
            mixJoints(room, step: all, into: scratch)
            ChannelRows.move(dy, step: all, to: dx, step: all, rows: positions, channels: joints, accumulating: true)
            // Through F: dw += f dF^T; df = w dF.
            transpose(scratch, factor: 1, into: transposed)
            MapProduct.multiply(
                x: x + joints, xStep: all, w: transposed, wStep: joints, positions: positions, inputs: features,
                outputs: joints, y: dx, yStep: all, accumulating: true)
            MapProduct.multiply(
                x: weights, xStep: joints, w: scratch, wStep: features, positions: positions, inputs: joints, outputs: features,
                y: dx + joints, yStep: all)
            MapSoftmax.backward(
                weights: weights, positions: positions, channels: joints, gradient: dx, stride: all, scratch: scratch)
        }
        if pass.samples > 0 {
            Kernels.Dense.weightGradient(
                x: mixed, dy: gradient, rows: 0..<features, samples: pass.samples * joints, inputs: features,
                outputs: features, gradient: weight.gradient)
        } else {
            weight.gradient.update(repeating: 0, count: weight.count)
        }
        try pass.finished(weight)
        pass.pool.give(dy)
        return dx
    }
}

// MARK: Export

extension JointGraph {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
        let (layer, all, positions) = (place.name, place.input.channels, place.input.positions)
        let x = graph.map(x, layer: layer).name
        // w: (N, joints, positions); f: (N, features, positions).
        let scores = graph.reshape(graph.slice(x, axis: 1, 0..<joints, layer: layer), [0, joints, positions], layer: layer)
        let weights = graph.node("Softmax", [scores], layer: layer, ["axis": .integer(-1)])
        let features = graph.reshape(
            graph.slice(x, axis: 1, joints..<all, layer: layer), [0, all - joints, positions], layer: layer)
        func turned(_ name: String, _ graph: inout ONNXGraph) -> String {
            graph.node("Transpose", [name], layer: layer, ["perm": .integers([0, 2, 1])])
        }
        // F = w f; F' = ReLU(A F W): (N, joints, features).
        let pooled = graph.node("MatMul", [weights, turned(features, &graph)], layer: layer)
        let adjacency = graph.constant(place.inside("adjacency"), normalizedAdjacency, [joints, joints])
        let mixed = graph.node("MatMul", [adjacency, pooled], layer: layer)
        let product = graph.node("MatMul", [mixed, try graph.parameter(place.inside("weight"))], layer: layer)
        let joined = graph.node("Relu", [product], layer: layer)
        // m: (N, features, positions).
        let spread = graph.node("MatMul", [turned(joined, &graph), weights], layer: layer)
        let share = graph.constant(place.inside("share"), [1 / Float(joints)], [1])
        let mean = graph.node("Mul", [spread, share], layer: layer)
        let both = graph.node("Concat", [weights, mean], layer: layer, ["axis": .integer(1)])
        return ONNXValue(
            name: graph.reshape(both, [0, all, place.input.height, place.input.width], layer: layer), shape: place.output, isMap: true)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        let pairs = bones
        let bones = stride(from: 0, to: pairs.count, by: 2).map { "(\(pairs[$0]), \(pairs[$0 + 1]))" }.joined(separator: ", ")
        module.helper(
            "joint_graph",
            """
            def joint_graph(x, weight, joints, bones):
                \"\"\"(N, joints + c, rows, columns), scores and features, to the same: weights, and features mixed along the bones.\"\"\"
                weights, features = x[:, :joints].flatten(2).softmax(-1), x[:, joints:].flatten(2)
                adjacency = torch.eye(joints, device=x.device)
                for a, b in bones:
                    adjacency[a, b] = adjacency[b, a] = 1
                degrees = adjacency.sum(1)
                adjacency = adjacency / (degrees[:, None] * degrees).sqrt()
                joined = F.relu(adjacency @ (weights @ features.transpose(1, 2)) @ weight)
                spread = joined.transpose(1, 2) @ weights / joints
                return torch.cat([weights, spread], 1).reshape(x.shape)
            """)
        module.line(
            "\(x.name) = joint_graph(\(x.name), \(module.parameter(place.inside("weight"))), \(joints), [\(bones)])")
        return x.holding(place.output, isMap: true)
    }
}
