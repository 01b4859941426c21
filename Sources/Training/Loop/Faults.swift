import Glibc
import System

/// Faults that tests ask for by the environment variable DTRAIN_FAULT; there are none unless it is set.
///
/// Its value: `KIND:rank=R:step=S[:times=N]`, several with commas between. `rank` 0, `step` 1 and `times` 1 may be left out.
struct Faults: Sendable {
    enum Kind: String, CaseIterable, Sendable {
        /// The rank's gradient of FC1's outputs holds a NaN in that step.
        case nanGradient = "nan-gradient"
        /// A bit of the rank's weights changes after that step.
        case flipWeight = "flip-weight"
        /// The rank sleeps for ever in that step.
        case stall
        /// That step and all later ones take the rank `times` seconds more.
        case slow
        /// That step and all later ones take the rank `times` milliseconds more.
        case lag
        /// The first `times` tries to write checkpoints of that step or later fail as on a full disk.
        case writeError = "write-error"
        /// There is no memory for a copy of what a checkpoint holds.
        case shortMemory = "short-memory"
    }

    private struct Fault {
        var kind: Kind
        var rank = 0
        var step = 1
        var times = 1
    }

    private let faults: [Fault]
    private let rank: Int

    /// - Throws: `TrainingFailure` for a value that is not understood.
    init(rank: Int, text: String? = getenv("DTRAIN_FAULT").map { String(cString: $0) }) throws {
        self.rank = rank
        faults = try (text ?? "").split(separator: ",").map(Self.parse)
    }

    private static func parse(_ text: Substring) throws -> Fault {
        let fields = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let kind = Kind(rawValue: String(fields[0])) else { throw unknown(text) }
        var fault = Fault(kind: kind)
        for field in fields.dropFirst() {
            let pair = field.split(separator: "=", omittingEmptySubsequences: false)
            guard pair.count == 2, let value = Int(pair[1]), value >= 0 else { throw unknown(text) }
            switch pair[0] {
            case "rank": fault.rank = value
            case "step": fault.step = value
            case "times": fault.times = value
            default: throw unknown(text)
            }
        }
        return fault
    }

    private static func unknown(_ text: Substring) -> TrainingFailure {
        TrainingFailure(
            "DTRAIN_FAULT: '\(text)' is no fault; hint: KIND:rank=R:step=S[:times=N], KIND one of "
                + Kind.allCases.map(\.rawValue).joined(separator: ", ") + "; it is for tests, unset it otherwise")
    }

    var isEmpty: Bool { faults.isEmpty }

    /// Whether a fault of this kind strikes this rank in this step.
    func strikes(_ kind: Kind, step: Int) -> Bool {
        faults.contains { $0.kind == kind && $0.rank == rank && $0.step == step }
    }

    /// How long the rank is to sleep in a step, seconds.
    func delay(step: Int) -> Double {
        faults.filter { $0.rank == rank && $0.step <= step }.reduce(0) { sum, fault in
            switch fault.kind {
            case .slow: sum + Double(fault.times)
            case .lag: sum + Double(fault.times) / 1000
            default: sum
            }
        }
    }

    /// Hangs, as a rank whose storage is gone.
    static func sleepForever() -> Never {
        while true { Glibc.sleep(3600) }
    }

    /// Sleeps that long, whatever signals arrive.
    static func sleep(seconds: Double) {
        let end = Stopwatch.now + seconds
        while Stopwatch.now < end { usleep(UInt32(min(20_000, max(1, (end - Stopwatch.now) * 1e6)))) }
    }

    /// Changes the lowest bit of the middle one of `count` values.
    static func flipBit(_ values: UnsafeMutablePointer<Float>, count: Int) {
        values[count / 2] = Float(bitPattern: values[count / 2].bitPattern ^ 1)
    }

    /// Whether this rank has a fault of this kind, in whatever step.
    func has(_ kind: Kind) -> Bool { faults.contains { $0.kind == kind && $0.rank == rank } }

    /// How many tries to write the checkpoint of `step` or later ones are to fail.
    func writeErrors(step: Int) -> Int {
        faults.filter { $0.kind == .writeError && $0.rank == rank && $0.step <= step }.reduce(0) { $0 + $1.times }
    }
}
