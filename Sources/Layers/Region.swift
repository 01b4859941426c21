@section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Region.self, to: $0) }

/// A window of the map: rows and columns first ..< end. Regions in `branches` make an ensemble (Guo et al. 2017, REN).
package struct Region: LayerDescription {
    package static let kind = "region"
    package static let result = "that part of the map"
    package static let example: String? = "region: {rows: [0, 8], columns: [4, 16]}"
    /// First row and the row after the last.
    package var rows: [Int] = []
    /// First column and the column after the last.
    package var columns: [Int] = []

    package init() {}
    package init(rows: Range<Int>, columns: Range<Int>) {
        self.rows = [rows.lowerBound, rows.upperBound]
        self.columns = [columns.lowerBound, columns.upperBound]
    }

    package static var members: [Member<Region>] { [.integers("rows", \.rows), .integers("columns", \.columns)] }

    package func output(of input: Shape) throws(ShapeError) -> Shape {
        func extent(_ values: [Int], _ name: String, _ size: Int) throws(ShapeError) -> Int {
            guard values.count == 2, values[0] < values[1], values[1] <= size else {
                throw ShapeError("\(name) \(values) of a map of \(input); hint: \(name): [first, end] within 0 to \(size)")
            }
            return values[1] - values[0]
        }
        return Shape(
            height: try extent(rows, "rows", input.height), width: try extent(columns, "columns", input.width),
            channels: input.channels)
    }

    package func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { RegionLayer(self, input, &builder) }
}

private final class RegionLayer: Layer {
    private let input: Shape
    private let rows, columns: Range<Int>
    private let y: UnsafeMutablePointer<Float>
    private let needsInputGradient: Bool

    init(_ description: Region, _ input: Shape, _ builder: inout LayerBuilder) {
        self.input = input
        rows = description.rows[0]..<description.rows[1]
        columns = description.columns[0]..<description.columns[1]
        y = builder.activation(Shape(height: rows.count, width: columns.count, channels: input.channels))
        needsInputGradient = builder.needsInputGradient
    }

    private var lineCount: Int { columns.count * input.channels }

    /// Where a row of the region begins in the whole.
    private func place(_ sample: Int, _ row: Int) -> Int {
        sample &* input.count &+ (row &* input.width &+ columns.lowerBound) &* input.channels
    }

    func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        try pass.forEach(pass.samples) { sample, _ in
            for (number, row) in rows.enumerated() {
                (y + (sample &* rows.count &+ number) &* lineCount).update(from: x + place(sample, row), count: lineCount)
            }
        }
        return y
    }

    func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        try backward(dy, step: nil, keeping: false, into: nil, pass)
    }

    var gradientOptions: GradientOptions { .sum }

    func backward(
        _ dy: UnsafeMutablePointer<Float>, step: Int?, keeping: Bool, into sum: UnsafeMutablePointer<Float>?, _ pass: Pass
    ) throws -> UnsafeMutablePointer<Float>? {
        precondition(step == nil && !keeping, "a region takes its gradient")
        defer { pass.pool.give(dy) }
        guard needsInputGradient else { return nil }
        let dx = sum ?? pass.pool.take()
        try pass.forEach(pass.samples) { sample, _ in
            if sum == nil { (dx + sample &* input.count).update(repeating: 0, count: input.count) }
            for (number, row) in rows.enumerated() {
                let (from, to) = (dy + (sample &* rows.count &+ number) &* lineCount, dx + place(sample, row))
                if sum == nil {
                    to.update(from: from, count: lineCount)
                } else {
                    for index in 0..<lineCount { to[index] += from[index] }
                }
            }
        }
        return dx
    }
}

// MARK: Export

extension Region {
    package func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue {
        var name = graph.map(x, layer: place.name).name
        name = graph.slice(name, axis: 2, rows[0]..<rows[1], layer: place.name)
        name = graph.slice(name, axis: 3, columns[0]..<columns[1], layer: place.name)
        return ONNXValue(name: name, shape: place.output, isMap: true)
    }

    package func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue {
        let x = module.map(x)
        module.line("\(x.name) = \(x.name)[:, :, \(rows[0]):\(rows[1]), \(columns[0]):\(columns[1])]")
        return x.holding(place.output, isMap: true)
    }
}
