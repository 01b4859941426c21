/// A layer that waits for other ranks within its passes. It does them in pieces: what it waits for travels between one piece and the
/// next, so that where branches run side by side, another one computes meanwhile.
///
/// All ranks run the same pieces in the same order, whatever has arrived.
package protocol PiecewiseLayer: Layer {
    /// `forward`, in pieces.
    func forwardPieces(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) -> LayerPieces

    /// `backward`, in pieces. A buffer of the pool is held between two only by a layer that holds one before it: dy or dx.
    func backwardPieces(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) -> LayerPieces
}

/// What is to be run one after the other, and gives a result in the end.
package struct LayerPieces {
    private let pieces: [() throws -> UnsafeMutablePointer<Float>?]
    private var next = 0

    /// - Parameter pieces: what the last one returns is the result.
    package init(_ pieces: [() throws -> UnsafeMutablePointer<Float>?]) { self.pieces = pieces }

    var areDone: Bool { next == pieces.count }

    /// Runs the next piece.
    /// - Returns: of the last one, the layer's result.
    mutating func run() throws -> UnsafeMutablePointer<Float>? {
        next += 1
        return try pieces[next - 1]()
    }

    /// Runs all.
    mutating func runAll() throws -> UnsafeMutablePointer<Float>? {
        var result: UnsafeMutablePointer<Float>?
        while !areDone { result = try run() }
        return result
    }
}

extension PiecewiseLayer {
    package func forward(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float> {
        var pieces = forwardPieces(x, pass)
        return try pieces.runAll()!
    }

    package func backward(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) throws -> UnsafeMutablePointer<Float>? {
        var pieces = backwardPieces(dy, pass)
        return try pieces.runAll()
    }
}
