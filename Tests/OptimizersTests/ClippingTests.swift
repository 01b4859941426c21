import Foundation
import Kernels
import Optimizers
import System
import Testing
import TestOracle

@Suite("Clipping")
struct ClippingTests {
    @Test("a text is printed back", arguments: ["none", "norm:1.0", "value:0.5"])
    func text(text: String) throws {
        let clipping = try Clipping(parsing: text)
        #expect(clipping.description == text)
        let coded = try JSONEncoder().encode([clipping])
        #expect(try JSONDecoder().decode([Clipping].self, from: coded) == [clipping])
        #expect(clipping.needsNorm == text.hasPrefix("norm"))
    }

    @Test(
        "0, negative limits and what is no clipping are refused in one line",
        arguments: [
            "norm:0", "value:0", "norm:-1", "norm:nan", "norm:inf", "norm:", "norm", "value:x", "1.0", "", "none:1", "norm:1:2",
            "norm:1e300", "value:1e-300",
        ])
    func refused(text: String) {
        let error = #expect(throws: SettingError.self) { try Clipping(parsing: text) }
        let line = error?.description ?? ""
        #expect(line.hasPrefix("--clip is '\(text)': ") && line.hasSuffix("; hint: none, norm:1.0 or value:0.5"), "\(line)")
        #expect(!line.contains("\n"))
    }

    @Test("the scale is exactly 1 up to the limit and brings a larger norm to it")
    func scale() {
        let clipping = Clipping.norm(2)
        for norm in [0, 1, 2, .nan, .infinity] { #expect(clipping.scale(norm: norm) == 1) }
        #expect(clipping.scale(norm: 8) == 0.25)
        #expect(Clipping.none.scale(norm: 1e9) == 1 && Clipping.value(1).scale(norm: 1e9) == 1)
    }

    @Test("a step clipped by norm is a step with the gradients scaled to that norm", arguments: OptimizerKind.allCases)
    func identity(kind: OptimizerKind) throws {
        let settings = OptimizerConfiguration(kind: kind, learningRate: 0.01)
        let (clipped, scaled) = (try OptimizerRig(settings), try OptimizerRig(settings))
        let (team, norms) = (try WorkerTeam(count: 2), GradientNorm(capacity: OptimizerRig.count))
        for gradient in OptimizerRig.gradients(steps: 4) {
            let norm = norms.sumOfSquares(gradient, count: gradient.count, team: team).squareRoot()
            let scale = Clipping.norm(1).scale(norm: norm)
            #expect(scale < 1)
            clipped.step(gradient, scale: scale)
            let small = gradient.map { $0 * scale }
            let rest = norms.sumOfSquares(small, count: small.count, team: team).squareRoot()
            // A product is right to half an ulp, as the scale is.
            #expect(abs(rest - 1) <= 2 * Double(Float.ulpOfOne))
            scaled.step(small)
        }
        #expect(bitDifference(clipped.values, scaled.values) == nil)
    }
}
