import System

/// The centres found in a source's frames, so that each is searched once: (u px, v px, d mm) a sample.
///
/// Sendable because entries change under the lock.
final class CentreCache: @unchecked Sendable {
    private let condition = ConditionLock()
    private let centres: UnsafeMutableBufferPointer<SIMD3<Double>>  // (count); NaN: not known

    init(count: Int) {
        centres = .allocate(capacity: count)
        centres.initialize(repeating: SIMD3(repeating: .nan))
    }

    deinit { centres.deallocate() }

    func centre(of sample: Int) -> SIMD3<Double>? {
        let centre = condition.withLock { centres[sample] }
        return centre.x.isNaN ? nil : centre
    }

    func keep(_ centre: SIMD3<Double>, of sample: Int) { condition.withLock { centres[sample] = centre } }
}
