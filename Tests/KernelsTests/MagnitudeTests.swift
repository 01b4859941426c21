import Kernels
import Testing

struct MagnitudeTests {
    @Test(arguments: [0, 1, 7, 8, 15, 16, 17, 100]) func peakIsTheLargestMagnitude(count: Int) {
        let values = (0..<count).map { (index: Int) -> Float in
            let magnitude = Float(index * 37 % 101)
            return index % 2 == 0 ? magnitude : -magnitude
        }
        let largest: Float = values.map { abs($0) }.max() ?? 0
        #expect(Magnitude.peak(values, count: count) == largest)
    }

    @Test(arguments: [Float.nan, -.nan, .infinity, -.infinity, .signalingNaN], [0, 5, 8, 15, 16, 30])
    func nothingHidesWhatIsNotFinite(value: Float, place: Int) {
        var values = [Float](repeating: .greatestFiniteMagnitude, count: 31)
        values[place] = value
        #expect(!Magnitude.peak(values, count: values.count).isFinite)
    }

    @Test func theLargestFloatIsFinite() {
        let values = [Float](repeating: -.greatestFiniteMagnitude, count: 20)
        #expect(Magnitude.peak(values, count: 20) == .greatestFiniteMagnitude)
    }
}
