import Benchmarks
import Testing

/// What people and programs are shown of a benchmark.
@Suite("Benchmark reports")
struct BenchmarkReportTests {
    /// A convolution at half of the BLAS's rate, a layer without multiply-adds, and an update of 50 GB/s.
    private static let report = BenchmarkReport(
        title: "title", facts: [],
        rows: [
            BenchmarkRow(name: "convolution: forward", seconds: 0.002, work: 1e9, unit: .gflops, blasRate: 1e12),
            BenchmarkRow(name: "activation: forward", seconds: 0.001, work: 0, unit: .gflops, blasRate: 1e12),
            BenchmarkRow(name: "weight update", seconds: 0.001, work: 5e7, unit: .gigabytes),
        ], notes: ["note"])

    @Test("a row's time stands beside its floor; where there is none, a dash does")
    func floors() {
        #expect(
            Self.report.table(total: 0.004) == [
                "title",
                "  convolution: forward       2.00 ms      500.0 GFLOP/s   50.0%     2.00 x floor",
                "  activation: forward        1.00 ms          - GFLOP/s   25.0%        -",
                "  weight update              1.00 ms       50.0 GB/s      25.0%        -",
                "note",
            ])
    }

    @Test("without floors and shares the rate is the last column")
    func ratesAlone() {
        let rows = [
            BenchmarkRow(name: "y += x", seconds: 0.001, work: 5e7, unit: .gigabytes),
            BenchmarkRow(name: "product", seconds: 0.01, work: 1e9, unit: .gflops),
        ]
        #expect(
            BenchmarkReport(title: "title", facts: [], rows: rows, notes: []).table(total: nil) == [
                "title", "  y += x        1.00 ms       50.0 GB/s", "  product      10.00 ms      100.0 GFLOP/s",
            ])
    }

    @Test("JSON has the share of the floor of the rows that have one")
    func json() {
        #expect(
            Self.report.json
                == #"{"parts":{"convolution: forward":{"seconds":0.002,"rate":500,"unit":"GFLOP/s","share_of_floor":2},"#
                + #""activation: forward":{"seconds":0.001,"rate":0,"unit":"GFLOP/s"},"#
                + #""weight update":{"seconds":0.001,"rate":50,"unit":"GB/s"}}}"#)
    }
}
