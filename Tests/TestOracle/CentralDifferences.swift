/// Gradient of `function` at `point` by central differences: (f(x + h) - f(x - h)) / 2h for every element.
///
/// The error is h²·f'''/6 plus rounding of about 1e-16·f/h: with h = 1e-5 and values around 1, near 1e-10.
package func centralDifferences(
    at point: [Double], step: Double = 1e-5, of function: ([Double]) -> Double
) -> [Double] {
    var moved = point
    return point.indices.map { index in
        defer { moved[index] = point[index] }
        moved[index] = point[index] + step
        let above = function(moved)
        moved[index] = point[index] - step
        return (above - function(moved)) / (2 * step)
    }
}
