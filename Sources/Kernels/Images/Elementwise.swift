import Glibc

/// Passes over arrays of floats, element by element; the caller divides them among threads as it likes.
package enum Elementwise {
    /// y = a + b; y may be either.
    package static func add(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, rectified: Bool = false, y: UnsafeMutablePointer<Float>, count: Int
    ) {
        if rectified {
            for index in 0..<count {
                let sum = a[index] + b[index]
                y[index] = sum <= 0 ? 0 : sum
            }
        } else {
            for index in 0..<count { y[index] = a[index] + b[index] }
        }
    }

    /// y = max(0, x), NaN kept; y may be x.
    package static func rectifier(_ x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>, count: Int) {
        for index in 0..<count { y[index] = x[index] <= 0 ? 0 : x[index] }
    }

    /// dx = dy where y > 0, else 0; dx may be dy. Where y is NaN, dy passes.
    package static func rectifierBackward(
        y: UnsafePointer<Float>, dy: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, count: Int
    ) {
        for index in 0..<count { dx[index] = y[index] <= 0 ? 0 : dy[index] }
    }

    /// y = x where x > 0, else slope · x; y may be x.
    package static func leakyRectifier(_ x: UnsafePointer<Float>, slope: Float, y: UnsafeMutablePointer<Float>, count: Int) {
        for index in 0..<count { y[index] = x[index] <= 0 ? x[index] * slope : x[index] }
    }

    /// dx = dy where y > 0, else slope · dy, for a positive slope; dx may be dy.
    package static func leakyRectifierBackward(
        y: UnsafePointer<Float>, dy: UnsafePointer<Float>, slope: Float, dx: UnsafeMutablePointer<Float>, count: Int
    ) {
        for index in 0..<count { dx[index] = y[index] <= 0 ? dy[index] * slope : dy[index] }
    }

    /// y = e^x (expf); y may be x.
    package static func exponential(_ x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>, count: Int) {
        for index in 0..<count { y[index] = expf(x[index]) }
    }

    /// dx = dy · y; dx may be dy.
    package static func exponentialBackward(
        y: UnsafePointer<Float>, dy: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, count: Int
    ) {
        for index in 0..<count { dx[index] = dy[index] * y[index] }
    }
}
