/// Thins a curve out for a picture.
package enum Decimation {
    /// The indices to draw: of each of `buckets` equal parts of the abscissa's range the first and the last point and those with the least
    /// and the greatest value. So no spike is lost, and at most four points a bucket are left.
    ///
    /// - Parameter y: points that are not finite are left out.
    package static func indices(x: [Double], y: [Double], buckets: Int) -> [Int] {
        let finite = x.indices.filter { x[$0].isFinite && y[$0].isFinite }
        guard finite.count > 4 * buckets, let low = finite.map({ x[$0] }).min(), let high = finite.map({ x[$0] }).max(), high > low
        else { return finite }
        var kept: [Int] = []
        var start = 0
        while start < finite.count {
            let bucket = Self.bucket(x[finite[start]], low, high, buckets)
            var end = start
            var (least, greatest) = (finite[start], finite[start])
            while end < finite.count, Self.bucket(x[finite[end]], low, high, buckets) == bucket {
                if y[finite[end]] < y[least] { least = finite[end] }
                if y[finite[end]] > y[greatest] { greatest = finite[end] }
                end += 1
            }
            kept += Set([finite[start], least, greatest, finite[end - 1]]).sorted()
            start = end
        }
        return kept
    }

    private static func bucket(_ value: Double, _ low: Double, _ high: Double, _ count: Int) -> Int {
        min(count - 1, Int((value - low) / (high - low) * Double(count)))
    }
}
