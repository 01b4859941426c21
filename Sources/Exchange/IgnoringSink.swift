import Layers
import Tensors

/// Leaves gradients where they are: for measurements.
final class IgnoringSink: GradientSink {
    func buckets(of parameter: Parameter) -> [Range<Int>] { [] }

    func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        preconditionFailure("\(parameter.name) is held whole")
    }

    func tileFinished(_ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int) {}
    func bucketFinished(_ parameter: Parameter, rows: Range<Int>) {}
    func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) {}
}
