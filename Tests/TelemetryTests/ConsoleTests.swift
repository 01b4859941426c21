import Telemetry
import Testing

struct ConsoleTests {
    private let parts = ["step 7/15", "loss 12.5", "joint error 40.1 mm", "1200 samples/s", "8 ms/step", "3 s left"]

    @Test func partsAreLeftOutUntilTheLineFits() {
        #expect(Console.fit(parts, columns: 100) == "step 7/15  loss 12.5  joint error 40.1 mm  1200 samples/s  8 ms/step  3 s left")
        #expect(Console.fit(parts, columns: 70) == "step 7/15  loss 12.5  joint error 40.1 mm  8 ms/step  3 s left")
        #expect(Console.fit(parts, columns: 52) == "step 7/15  loss 12.5  joint error 40.1 mm  3 s left")
        #expect(Console.fit(parts, columns: 41) == "step 7/15  loss 12.5  joint error 40.1 mm")
        #expect(Console.fit(parts, columns: 25) == "step 7/15  loss 12.5")
        #expect(Console.fit(parts, columns: 5) == "step ")
    }

    @Test func noLineIsEverTooLong() {
        for columns in 1...120 { #expect(Console.fit(parts, columns: columns).count <= columns) }
    }
}
