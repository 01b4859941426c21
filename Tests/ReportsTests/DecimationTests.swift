import Reports
import Testing

struct DecimationTests {
    @Test func aSpikeAmongHundredsOfThousandsOfPointsIsKept() {
        let x = (0..<300_000).map(Double.init)
        var y = x.map { 100 - $0 / 3000 }
        (y[123_457], y[222_222]) = (5000, -7)
        let kept = Decimation.indices(x: x, y: y, buckets: 240)
        #expect(kept.contains(123_457) && kept.contains(222_222))
        #expect(kept.first == 0 && kept.last == 299_999)
        #expect(kept.count <= 4 * 240 && kept == kept.sorted())
    }

    @Test func fewPointsAreAllKeptAndWhatIsNotFiniteIsLeftOut() {
        #expect(Decimation.indices(x: [1, 2, 3, 4], y: [1, .nan, .infinity, 2], buckets: 240) == [0, 3])
        #expect(Decimation.indices(x: [], y: [], buckets: 240) == [])
        let same = [Double](repeating: 5, count: 5000)
        #expect(Decimation.indices(x: same, y: same, buckets: 10).count == 5000, "points of one place have no range to divide")
    }
}
