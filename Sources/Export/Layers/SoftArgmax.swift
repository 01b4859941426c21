import Layers

extension SoftArgmax: ExportedLayer {
    /// The centre of a cell in crop coordinates.
    private static func centre(_ cell: Int, of cells: Int) -> Float { Float(2 * cell + 1) / Float(cells) - 1 }

    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
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

    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
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
