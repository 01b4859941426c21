/// What a parameter is to the layer that declares it: what weight decay, rate multipliers and exchanges go by.
package enum ParameterRole: String, Sendable, Codable, CaseIterable {
    /// Multiplies inputs: of convolutions and fully connected layers.
    case weight
    /// Is added to outputs.
    case bias
    /// Scale or shift of a normalisation.
    case normalization
    /// Follows the data, such as a running mean: kept in checkpoints, never touched by an optimiser.
    case statistic
    /// Is kept in checkpoints and never changes, such as a pose basis taken from the labels.
    case constant

    /// Whether an optimiser updates it.
    package var isTrained: Bool { self != .statistic && self != .constant }
}

/// One parameter of a network: its name in checkpoints, its shape, and where its values lie in a parameter arena.
package struct Parameter: Sendable, Equatable {
    /// Name in checkpoints, for example `fc1.weight`.
    package let name: String
    /// Shape, row-major.
    package let shape: [Int]
    package let role: ParameterRole
    /// Elements of the arena it takes.
    package let range: Range<Int>

    /// Number of values.
    package var count: Int { range.count }
    /// Values per row: the product of all dimensions but the first, as tiles are blocks of rows.
    package var rowLength: Int { shape.dropFirst().reduce(1, *) }

    /// Elements of the arena that a block of rows takes.
    package func elements(ofRows rows: Range<Int>) -> Range<Int> {
        range.lowerBound + rows.lowerBound * rowLength..<range.lowerBound + rows.upperBound * rowLength
    }
}

/// What a network declares of a parameter.
package struct ParameterDeclaration: Sendable {
    package let name: String
    package let shape: [Int]
    package let role: ParameterRole
    /// Its gradient is made and handed on in blocks of rows, never held whole.
    package let isTiled: Bool

    package init(_ name: String, _ shape: [Int], role: ParameterRole = .weight, isTiled: Bool = false) {
        self.name = name
        self.shape = shape
        self.role = role
        self.isTiled = isTiled
    }
}

/// The table that optimiser, checkpoint and exchange read instead of knowing layers: which parameter lies where.
///
/// The parameters whose gradients are held whole come first and are contiguous, so that their gradients fit one small
/// buffer and travel in one message; the tiled ones follow.
package struct ParameterTable: Sendable {
    /// Offsets are multiples of this many floats: a cache line.
    private static let granule = 16

    /// In the order they were declared: the order of checkpoints and tables.
    package let parameters: [Parameter]
    /// Floats an arena for all of them needs.
    package let count: Int
    /// Floats that the parameters held whole take, from 0.
    package let smallCount: Int

    package init(_ declared: [ParameterDeclaration]) {
        var ranges = [Range<Int>](repeating: 0..<0, count: declared.count)
        var end = 0
        func place(tiled: Bool) {
            for (position, declaration) in declared.enumerated() where declaration.isTiled == tiled {
                let count = declaration.shape.reduce(1, *)
                ranges[position] = end..<end + count
                end += (count + Self.granule - 1) / Self.granule * Self.granule
            }
        }
        place(tiled: false)
        smallCount = end
        place(tiled: true)
        count = end
        parameters = zip(declared, ranges).map { Parameter(name: $0.name, shape: $0.shape, role: $0.role, range: $1) }
    }

    /// The parameter of this name; it must exist.
    package subscript(name: String) -> Parameter {
        parameters.first { $0.name == name }!
    }

    /// Number of values in all parameters, padding not counted.
    package var valueCount: Int { parameters.reduce(0) { $0 + $1.count } }
}
