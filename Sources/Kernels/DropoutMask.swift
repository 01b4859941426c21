import CKernels
package import System

/// Dropout of some values: y[i] = x[i] · factor, or 0 where the i-th 32 bits of a stream are below a limit. Two values share a
/// number of the stream, the first its low half.
package struct DropoutMask: Sendable {
    private let random: CounterRandom
    private let limit: UInt32
    private let instructionSet: InstructionSet

    /// - Parameters:
    ///   - rate: share of the values that are dropped, below 1.
    ///   - instructionSet: the kernels it runs on; all give the same bits.
    package init(random: CounterRandom, rate: Double, instructionSet: InstructionSet = .best) {
        self.random = random
        limit = UInt32(min(rate * 0x1p32, Double(UInt32.max)))
        self.instructionSet = instructionSet
    }

    /// - Parameters:
    ///   - first: number of the stream that the first two values share.
    ///   - y: `count` floats, overwritten; may be x.
    package func apply(
        _ x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>, count: Int, first: UInt64, factor: Float
    ) {
        let (counter, step) = (random.counter(first), CounterRandom.counterStep)
        switch instructionSet {
        case .v3: dtrain_dropout_3(x, y, count, counter, step, limit, factor)
        case .v4: dtrain_dropout_4(x, y, count, counter, step, limit, factor)
        }
    }
}
