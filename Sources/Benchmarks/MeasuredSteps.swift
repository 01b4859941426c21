import Memory

/// Repeats of a training step, each after a measurement of the BLAS's rate, so that both meet the same weather on a shared
/// machine.
struct MeasuredSteps {
    private(set) var measurement = Measurement()
    /// Median rate of the BLAS, operations per second.
    let rate: Double
    /// Minor page faults of a step.
    let faults: Double

    /// - Parameter consecutive: the BLAS is measured before all of the steps, which so find what the one before left in the caches.
    init(
        repeats: Int, reference: HardwareReference, consecutive: Bool = false, step: (Int) throws -> Void
    ) rethrows {
        var rates = Measurement()
        var faults = 0
        for number in 0..<repeats {
            if consecutive, number == 0 {
                for _ in 0..<5 { rates.add(reference.productRate()) }
            } else if !consecutive {
                rates.add(reference.productRate())
            }
            let before = Machine.minorFaults
            try measurement.run { try step(number) }
            faults += Machine.minorFaults - before
        }
        rate = rates.median
        self.faults = Double(faults) / Double(repeats)
    }
}
