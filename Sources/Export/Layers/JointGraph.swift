import Layers

extension JointGraph: ExportedLayer {
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue {
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

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
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
