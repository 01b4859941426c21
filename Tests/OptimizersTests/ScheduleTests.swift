import Foundation
import Optimizers
import Testing
import TestOracle

@Suite("Schedules")
struct ScheduleTests {
    private static func rates(_ text: String, _ steps: [Int], stepsPerEpoch: Double = 4, total: Int = 100) throws -> [Double] {
        let schedule = try Schedule(parsing: text)
        return steps.map { schedule.rate(step: $0, stepsPerEpoch: stepsPerEpoch, totalSteps: total, base: 1) }
    }

    @Test(
        "a text is printed back in one form",
        arguments: [
            ("constant", "constant"), ("constant:warmup=0", "constant"), ("constant:warmup=500", "constant:warmup=500"),
            ("steps:every=40000,factor=0.1", "steps:every=40000,factor=0.1"),
            ("steps:factor=0.1,every=10epochs", "steps:every=10epochs,factor=0.1"),
            ("steps:every=1e3steps,factor=1", "steps:every=1000,factor=1"),
            ("exponential:every=1epoch,factor=0.96,warmup=1epochs", "exponential:factor=0.96,every=1epochs,warmup=1epochs"),
            ("exponential:factor=0.5", "exponential:factor=0.5,every=1epochs"),
            ("inverse:k=0.2", "inverse:k=0.2"), ("inverse:k=0.2,every=1epochs", "inverse:k=0.2"),
            ("inverse:k=2,every=0.5epochs", "inverse:k=2,every=0.5epochs"),
            ("cosine", "cosine"), ("cosine:final=0,warmup=5", "cosine:warmup=5"), ("cosine:final=0.01", "cosine:final=0.01"),
        ])
    func canonical(text: String, form: String) throws {
        let schedule = try Schedule(parsing: text)
        #expect(schedule.description == form)
        #expect(try Schedule(parsing: form) == schedule)
        let coded = try JSONEncoder().encode([schedule])
        #expect(String(decoding: coded, as: UTF8.self) == "[\"\(form)\"]")
        #expect(try JSONDecoder().decode([Schedule].self, from: coded) == [schedule])
    }

    @Test(
        "what never ends, grows or is negative is refused in one line with a hint",
        arguments: [
            ("", "no such schedule"), ("linear", "no such schedule"), ("Cosine", "no such schedule"), (":", "no key=value"),
            ("cosine:", "'' is no key=value"), ("cosine:warmup", "'warmup' is no key=value"), ("cosine:warmup=1=2", "no key=value"),
            ("cosine:warmup=1,warmup=2", "warmup stands twice"), ("cosine:every=3", "cosine has no 'every'"),
            ("cosine:warmup=-1", "warmup is -1"), ("cosine:warmup=inf", "warmup is inf"), ("cosine:warmup=nan", "warmup is nan"),
            ("cosine:warmup=1.5", "warmup is 1.5"), ("cosine:warmup=epochs", "warmup is epochs"), ("cosine:final=-0.1", "final is -0.1"),
            ("cosine:final=1.1", "final is 1.1"), ("steps", "every is missing"), ("steps:every=5", "factor is missing"),
            ("steps:every=0,factor=0.1", "every is 0"), ("steps:every=0epochs,factor=0.1", "every is 0epochs"),
            ("steps:every=5,factor=-0.1", "factor is -0.1"), ("steps:every=5,factor=0", "factor is 0"),
            ("steps:every=5,factor=1.5", "factor is 1.5"), ("exponential:factor=2", "factor is 2"), ("inverse", "k is missing"),
            ("inverse:k=-0.2", "k is -0.2"), ("inverse:k=0", "k is 0"), ("inverse:k=x", "k is x"), ("constant:k=1", "constant has no 'k'"),
            ("steps:every=1e300,factor=0.1", "every is 1e300"), ("steps:every=1e-300epochs,factor=0.1", "every is 1e-300epochs"),
        ])
    func refused(text: String, reason: String) {
        let error = #expect(throws: SettingError.self) { try Schedule(parsing: text) }
        let line = error?.description ?? ""
        #expect(line.hasPrefix("--schedule is '\(text)': ") && line.contains("; hint: ") && !line.contains("\n"), "\(line)")
        #expect(line.contains(reason), "\(line)")
        let coded = Data("[\"\(text)\"]".utf8)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([Schedule].self, from: coded) }
    }

    @Test("DeepPrior's rate falls once an epoch")
    func inverse() throws {
        let rates = try Self.rates("inverse:k=0.2", [0, 3, 4, 8, 40])
        let expected: [Double] = [1, 1, 1 / 1.2, 1 / 1.4, 1 / 3]
        #expect(rates == expected)
    }

    @Test("REN's rate falls after every 40,000 steps")
    func steps() throws {
        let rates = try Self.rates("steps:every=40000,factor=0.1", [0, 39_999, 40_000, 79_999, 80_000], total: 160_000)
        let expected: [Double] = [1, 1, 0.1, 0.1, 0.01]
        #expect(mismatch(rates, expected, tolerance: expected.map { $0 * 2 * Double.ulpOfOne }) == nil)
    }

    @Test("an epoch need not have a whole number of steps")
    func fractionalEpochs() throws {
        // Two epochs are 7.5 steps.
        #expect(try Self.rates("steps:every=2epochs,factor=0.5", [7, 8, 14, 15], stepsPerEpoch: 3.75) == [1, 0.5, 0.5, 0.25])
    }

    @Test("the warm-up rises in equal steps from its first part to the whole")
    func warmup() throws {
        #expect(try Self.rates("constant:warmup=4", [0, 1, 2, 3, 4, 50]) == [0.25, 0.5, 0.75, 1, 1, 1])
        #expect(try Self.rates("constant:warmup=1", [0, 1]) == [1, 1])
        #expect(try Self.rates("constant:warmup=0.5epochs", [0, 1, 2]) == [0.5, 1, 1])
    }

    @Test("the cosine ends at its final share and stays there")
    func cosine() throws {
        let rates = try Self.rates("cosine:final=0.25", [0, 50, 99, 100, 1000])
        #expect(rates[0] == 1 && rates[3] == 0.25 && rates[4] == 0.25)
        #expect(rates[2] > 0.25 && rates[2] < 0.2503)
        #expect(abs(rates[1] - 0.625) <= Double.ulpOfOne)
        #expect(try Self.rates("cosine", [0, 100]) == [1, 0])
    }

    /// No libm in the product; here its functions are the reference, right to an ulp.
    @Test("powers and cosines without the C library are right to a few ulps, over long runs too")
    func portable() throws {
        for step in stride(from: 0, through: 100_000, by: 37) {
            let power = try Self.rates("exponential:factor=0.96,every=1000", [step])[0]
            let expected = Foundation.pow(0.96, Double(step) / 1000)
            // The whole part by squaring takes 7 products, each half an ulp of all before it.
            #expect(abs(power - expected) <= 16 * Double.ulpOfOne * expected, "\(step)")
            let cosine = try Self.rates("cosine", [step], total: 100_000)[0]
            let half = Foundation.cos(Double.pi / 2 * Double(step) / 100_000)
            #expect(abs(cosine - half * half) <= 4 * Double.ulpOfOne, "\(step)")
        }
        for factor in [1, 0.999, 0.5, 0.7071, 0.01, 1e-6] {
            let root = try Self.rates("exponential:factor=\(factor),every=4", [1])[0]
            let expected = Foundation.pow(factor, 0.25)
            #expect(abs(root - expected) <= 8 * Double.ulpOfOne * expected, "\(factor)")
        }
    }

    @Test(
        "no schedule is ever negative, infinite or above its base",
        arguments: [
            "constant", "steps:every=1,factor=0.1", "exponential:factor=0.001,every=1", "inverse:k=1e9,every=1", "cosine",
            "cosine:final=1", "exponential:factor=1e-300,every=1e-6epochs", "steps:every=1e-6epochs,factor=1e-300,warmup=1e12",
        ])
    func bounded(text: String) throws {
        for rate in try Self.rates(text, [0, 1, 2, 3, 50, 99, 100, 10_000, 1_000_000_000_000]) {
            #expect(rate >= 0 && rate <= 1, "\(rate)")
        }
    }

    @Test("a warm-up as long as the run ends in it; a longer one is refused")
    func longWarmup() throws {
        let schedule = try Schedule(parsing: "cosine:warmup=2epochs")
        #expect(schedule.problem(stepsPerEpoch: 50, totalSteps: 100) == nil)
        #expect(
            schedule.problem(stepsPerEpoch: 50.5, totalSteps: 100)
                == "--schedule is 'cosine:warmup=2epochs': a warm-up of 101 steps does not end in a run of 100; "
                + "hint: a shorter warmup, or more steps")
    }
}
