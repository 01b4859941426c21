/// Sums and maxima of a few numbers over all ranks, in rank order.
protocol FewNumbers: AnyObject {
    /// Most numbers.
    static var capacity: Int { get }

    /// - Parameter waiting: called again and again while a rank waits; tells whether nothing else is under way.
    func reduce(
        _ values: UnsafeMutableBufferPointer<Double>, _ operation: MPIGroup.Operation, waiting: () throws(CollectiveError) -> Bool
    ) throws(CollectiveError)
}

extension MPIGroup.Operation {
    /// Adds other numbers to some, or takes the larger ones.
    func apply(_ terms: UnsafePointer<Double>, to values: UnsafeMutableBufferPointer<Double>) {
        switch self {
        case .sum: for index in values.indices { values[index] += terms[index] }
        case .maximum: for index in values.indices { values[index] = max(values[index], terms[index]) }
        }
    }
}
