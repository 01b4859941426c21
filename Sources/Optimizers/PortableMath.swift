/// Functions for schedules, by products and sums alone: the C library's cos() and pow() differ in the last bit between hosts,
/// and ranks whose rates differ by a bit would drift apart.
enum PortableMath {
    /// base^count by squaring, for a base from 0 to 1.
    static func power(_ base: Double, _ count: Double) -> Double {
        var (result, square, rest) = (1.0, base, count)
        while rest >= 1, square != 0 {
            let half = (rest / 2).rounded(.down)
            if rest - 2 * half == 1 { result *= square }
            square *= square
            rest = half
        }
        return rest >= 1 ? 0 : result
    }

    /// base^exponent, for a base above 0 up to 1 and an exponent from 0. Right to a few ulps, and those of its whole part's power.
    static func power(_ base: Double, fractional exponent: Double) -> Double {
        let whole = exponent.rounded(.down)
        let power = power(base, whole)
        let rest = exponent - whole
        return rest == 0 ? power : power * exponential(rest * logarithm(base))
    }

    /// cos²(pi/2 · x), for x from 0 to 1: half of 1 + cos(pi · x).
    static func cosineSquared(_ x: Double) -> Double {
        let halfPi = Double.pi / 2
        let value = x <= 0.5 ? cosine(halfPi * x) : sine(halfPi * (1 - x))
        return value * value
    }

    /// Taylor's series, to the last bit up to pi/4.
    private static func cosine(_ x: Double) -> Double { series(x * x, first: 0) }
    private static func sine(_ x: Double) -> Double { x * series(x * x, first: 1) }

    /// 1 - y / ((f+1)(f+2)) · (1 - y / ((f+3)(f+4)) · (...)).
    private static func series(_ y: Double, first: Double) -> Double {
        var sum = 1.0
        for term in stride(from: 10.0, through: 1, by: -1) {
            let n = first + 2 * term
            sum = 1 - y / (n * (n - 1)) * sum
        }
        return sum
    }

    /// ln x for x > 0: 2 artanh((m - 1) / (m + 1)) + e ln 2, where x = m · 2^e and m is near 1.
    static func logarithm(_ x: Double) -> Double {
        var (mantissa, exponent) = (x.significand, Double(x.exponent))
        if mantissa > 1.4142135623730951 {
            mantissa /= 2
            exponent += 1
        }
        let z = (mantissa - 1) / (mantissa + 1)
        let square = z * z
        var sum = 0.0
        // z is below 0.172, its square below 0.03: 12 terms reach 1e-19.
        for term in stride(from: 25.0, through: 1, by: -2) { sum = sum * square + 1 / term }
        return 2 * z * sum + exponent * 0.6931471805599453
    }

    /// e^x for x up to 0: e^(x / 2^k) by Taylor's series, squared k times.
    static func exponential(_ x: Double) -> Double {
        guard x > -745 else { return 0 }
        let halvings = max(0, x == 0 ? 0 : Int(x.exponent) + 3)
        let small = x / Double(1 << halvings)
        var sum = 1.0
        for term in stride(from: 14.0, through: 1, by: -1) { sum = 1 + small / term * sum }
        for _ in 0..<halvings { sum *= sum }
        return sum
    }
}
