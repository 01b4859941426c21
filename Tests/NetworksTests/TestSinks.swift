import Kernels
import Layers
import Memory
import Networks
import Optimizers
import Synchronization

/// Buckets of `rowsPerBucket` rows each, the last one smaller; nil: one bucket.
func cutRows(of parameter: Parameter, into rowsPerBucket: Int?) -> [Range<Int>] {
    let rows = parameter.shape[0]
    let size = rowsPerBucket ?? rows
    return stride(from: 0, to: rows, by: size).map { $0..<min(rows, $0 + size) }
}

/// Keeps all gradients, laid out as the parameters, and what happened in which order.
final class CollectingSink: GradientSink {
    enum Event: Equatable {
        case tile(Range<Int>)
        case bucket(Range<Int>)
        case small
    }

    let table: ParameterTable
    private let rowsPerBucket: Int?
    private let values: UnsafeMutableBufferPointer<Float>
    private let log = Mutex<[Event]>([])

    init(table: ParameterTable, rowsPerBucket: Int? = nil) {
        self.table = table
        self.rowsPerBucket = rowsPerBucket
        values = .allocate(capacity: table.count)
        values.initialize(repeating: .nan)
    }

    deinit { values.deallocate() }

    var events: [Event] { log.withLock { $0 } }

    func gradient(_ name: String) -> [Float] { Array(values[table[name].range]) }

    func buckets(of parameter: Parameter) -> [Range<Int>] { cutRows(of: parameter, into: rowsPerBucket) }

    func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        values.baseAddress! + parameter.elements(ofRows: rows).lowerBound
    }

    func tileFinished(_ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int) {
        log.withLock { $0.append(.tile(rows)) }
    }

    func bucketFinished(_ parameter: Parameter, rows: Range<Int>) {
        log.withLock { $0.append(.bucket(rows)) }
    }

    func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) {
        log.withLock { $0.append(.small) }
        for index in 0..<table.smallCount { values[index] = gradients[index] }
    }
}

/// Adam on every tile at once, from a tile-sized buffer of each thread, as one rank alone does it.
final class AdamSink: GradientSink {
    private let adam: Adam
    private let rowsPerBucket: Int?
    private let immediate: Bool
    private let buffers: [UnsafeMutablePointer<Float>]

    /// - Parameter immediate: whether kernels are to update tiles by themselves where they can.
    init(
        adam: Adam, window: WindowNetwork, threads: Int, rowsPerBucket: Int? = nil, immediate: Bool = false
    ) {
        self.adam = adam
        self.immediate = immediate
        self.rowsPerBucket = rowsPerBucket
        buffers = (0..<threads).map { _ in .allocate(capacity: max(WindowStem.tileFloats, window.hidden)) }
    }

    deinit { for buffer in buffers { buffer.deallocate() } }

    func buckets(of parameter: Parameter) -> [Range<Int>] { cutRows(of: parameter, into: rowsPerBucket) }

    func immediateUpdate(of parameter: Parameter) -> ImmediateUpdate? {
        immediate ? adam.immediateUpdate(of: parameter) : nil
    }

    func destination(of parameter: Parameter, rows: Range<Int>, thread: Int) -> UnsafeMutablePointer<Float> {
        buffers[thread]
    }

    func tileFinished(_ parameter: Parameter, rows: Range<Int>, gradient: UnsafeMutablePointer<Float>, thread: Int) {
        adam.apply(parameter.elements(ofRows: rows), gradient: gradient)
    }

    func bucketFinished(_ parameter: Parameter, rows: Range<Int>) {}

    func smallFinished(_ gradients: UnsafeMutableBufferPointer<Float>) {
        adam.apply(0..<gradients.count, gradient: gradients.baseAddress!)
    }
}
