import Foundation
import HandData
import Predictions
import Testing

@Suite struct PictureTests {
    /// A curve that jumps where the frames' largest errors are.
    @Test func theCurveIsTheShareOfFramesWithinEachThreshold() {
        let truth = [SIMD3<Double>](repeating: SIMD3(0, 0, 400), count: 64)
        var predicted = truth
        for (frame, error) in [0, 10, 20.2, 100].enumerated() { predicted[frame * 16].x = error }
        let curve = SuccessCurve(name: "a", JointErrors(predicted, truth))
        #expect(curve.shares.count == 161 && curve.shares[0] == 0.25 && curve.shares[19] == 0.25 && curve.shares[20] == 0.5)
        #expect(curve.shares[40] == 0.5 && curve.shares[41] == 0.75 && curve.shares[160] == 0.75)
    }

    @Test func thePlotIsWrittenAsBothKinds() throws {
        let folder = NSTemporaryDirectory() + "dtrain-plot-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let truth = [SIMD3<Double>](repeating: SIMD3(0, 0, 400), count: 16)
        let curves = ["first", "a<b&c"].map { SuccessCurve(name: $0, JointErrors(truth, truth)) }
        let files = try SuccessPlot(curves: curves).write(to: "\(folder)/curve.png")
        #expect(files == ["\(folder)/curve.svg", "\(folder)/curve.png"])
        let svg = try String(contentsOfFile: files[0], encoding: .utf8)
        #expect(svg.contains("first  0.00 mm") && svg.contains("a&lt;b&amp;c") && svg.hasSuffix("</svg>\n"))
        let document = XMLParserProbe.isWellFormed(svg)
        #expect(document)
        #expect(try Data(contentsOf: URL(fileURLWithPath: files[1])).prefix(8) == Data([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]))
    }
}

/// Whether every element that is opened is closed, in order.
private enum XMLParserProbe {
    static func isWellFormed(_ text: String) -> Bool {
        var open: [Substring] = []
        for tag in text.matches(of: /<(\/?)([a-z]+)[^<>]*?(\/?)>/) {
            if tag.1 == "/" {
                guard open.popLast() == tag.2 else { return false }
            } else if tag.3 != "/" {
                open.append(tag.2)
            }
        }
        return open.isEmpty
    }
}
