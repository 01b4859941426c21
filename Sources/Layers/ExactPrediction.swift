import Kernels
import Memory
import System

/// Room for `ExactDense` over a batch, and its use: what whole and divided fully connected layers predict by.
struct ExactPrediction {
    private let outputs: Int
    /// (samples, inputs): x brought to at most 1.
    let scaled: UnsafeMutablePointer<Float>
    /// (samples), powers of two.
    private let scales: UnsafeMutablePointer<Float>
    /// (samples, padded outputs).
    private let sums: UnsafeMutablePointer<Double>

    /// - Parameter samples: whose sums are taken here, which may be more than are scaled here.
    init(inputs: Int, outputs: Int, scaledSamples: Int, samples: Int, _ carver: inout Carver) {
        self.outputs = outputs
        scaled = carver.floats(scaledSamples * inputs)
        scales = carver.floats(scaledSamples)
        sums = carver.carve(Double.self, count: samples * ExactDense.paddedOutputs(outputs)).baseAddress!
    }

    /// Fills `scaled` with the pass's samples.
    func scale(_ x: UnsafePointer<Float>, inputs: Int, _ pass: Pass) throws {
        try pass.forEach(pass.samples) { sample, _ in
            let (source, target) = (x + sample &* inputs, scaled + sample &* inputs)
            let scale = ExactSum.scale(peak: Magnitude.peak(source, count: inputs))
            scales[sample] = scale
            for index in 0..<inputs { target[index] = source[index] * scale }
        }
    }

    /// Sums over some rows.
    /// - Parameter x: (samples, rows), scaled.
    func multiply(
        _ x: UnsafePointer<Float>, samples: Int, weights: UnsafePointer<Float>, rows: Int, _ pass: Pass
    ) throws {
        let padded = ExactDense.paddedOutputs(outputs)
        let width = ExactDense.columns(outputs: outputs, samples: samples, threads: pass.team.count)
        try pass.forEach((outputs + width - 1) / width) { block, _ in
            let columns = block &* width..<min(outputs, (block &+ 1) &* width)
            for sample in 0..<samples {
                (sums + (sample &* padded &+ columns.lowerBound)).update(repeating: 0, count: columns.count)
            }
            ExactDense.accumulate(
                x: x, samples: samples, weights: weights, rows: rows, outputs: outputs, columns: columns, sums: sums)
        }
    }

    /// The sum of an output of a sample.
    func sum(sample: Int, output: Int) -> Double { sums[sample &* ExactDense.paddedOutputs(outputs) &+ output] }

    /// y of all outputs of a sample whose sums were all taken here.
    func finish(sample: Int, bias: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>) {
        // As exact as dividing: a scale is a power of two.
        let (inverse, sums) = (1 / Double(scales[sample]), sums + sample &* ExactDense.paddedOutputs(outputs))
        var output = 0
        while output < outputs {
            y[output] = Float(sums[output] * inverse + Double(bias[output]))
            output &+= 1
        }
    }

    /// y of one of the samples that were scaled here.
    func finish(_ sum: Double, sample: Int, bias: Float) -> Float { Float(sum / Double(scales[sample]) + Double(bias)) }
}
