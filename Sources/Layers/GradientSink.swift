package import Kernels
package import Memory
package import System

/// Takes finished gradients: the seam between one rank and many. A network never learns what happens to them.
///
/// The small parameters' gradients come in one piece at the end. A large parameter's come in tiles (blocks of rows), as
/// they are made, so that nothing the size of the weights need ever be held.
package protocol GradientSink: AnyObject {
    /// How the rows of a large parameter are cut: all tiles of a bucket are made before the next bucket is begun.
    func buckets(of parameter: Parameter) -> [Range<Int>]

    /// How a tile of this parameter is updated the moment its gradient is made, without the gradient being stored; nil
    /// where the gradient itself is wanted. Then `destination` and `tileFinished` are not called.
    func immediateUpdate(of parameter: Parameter) -> ImmediateUpdate?

    /// Where the gradient of `rows` is to be written: (rows, rowLength). Called on the thread that makes the tile.
    func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float>

    /// The tile is written, and the weights of its rows are not needed any more. Called on the thread that made it.
    func tileFinished(_ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int)

    /// Runs the independent items of the backward pass's next piece on the team. A sink with something of its own to do on the
    /// main thread, such as sending the bucket before, does it beside them.
    func forEach(_ items: Int, on team: WorkerTeam, _ body: (_ item: Int, _ thread: Int) -> Void) throws

    /// All tiles of a bucket are written. Called on the main thread.
    func bucketFinished(_ parameter: Parameter, rows: Range<Int>) throws

    /// The gradient of a parameter that is held whole is written in its place. Called on the main thread.
    func gradientFinished(_ parameter: Parameter) throws

    /// The gradients of all small parameters are written, laid out as the table's first `smallCount` floats. Main thread.
    func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) throws
}

extension GradientSink {
    package func gradientFinished(_ parameter: Parameter) throws {}

    package func immediateUpdate(of parameter: Parameter) -> ImmediateUpdate? { nil }

    package func forEach(_ items: Int, on team: WorkerTeam, _ body: (_ item: Int, _ thread: Int) -> Void) throws {
        team.forEach(items, body)
    }
}
