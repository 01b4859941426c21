import Collectives
import Layers
import Memory
import Testing
import TestOracle

@Suite("Layers")
struct LayerTests {
    @Test("Outputs are those of the definition, in training and evaluation", arguments: LayerCase.all, [true, false])
    func forward(_ layer: LayerCase, _ isTraining: Bool) throws {
        let rig = try layer.rig()
        var oracle = layer.oracle(layer.parameters(), isTraining: isTraining)
        let expected = oracle.run(layer.nodes, layer.x, layer.input)
        let y = try rig.forward(layer.x, mode: isTraining ? .training : .evaluation)
        #expect(mismatch(y, expected, tolerance: layer.tolerance(expected)) == nil)
        for (name, statistics) in oracle.statistics {
            for (own, values) in [("running-mean", statistics.mean), ("running-variance", statistics.variance)] {
                let before = layer.parameters()["\(name).\(own)"]!
                let after = zip(before, values).map { $0 + 0.1 * ($1 - $0) }
                #expect(mismatch(rig.value("\(name).\(own)"), after, tolerance: layer.tolerance(after)) == nil)
            }
        }
    }

    @Test("Gradients are those of central differences in Double", arguments: LayerCase.all)
    func backward(_ layer: LayerCase) throws {
        let rig = try layer.rig()
        let parameters = layer.parameters()
        var oracle = layer.oracle(parameters, isTraining: true)
        let y = oracle.run(layer.nodes, layer.x, layer.input)
        let dy = layer.values(y.count, seed: 4)
        let intermediate = oracle.intermediates.enumerated().map { layer.values($1.count, seed: 5 + UInt64($0)) }
        /// Sum of dy · y, over the outputs on the way too.
        func loss(_ parameters: [String: [Double]], _ x: [Double]) -> Double {
            var oracle = layer.oracle(parameters, isTraining: true)
            let y = oracle.run(layer.nodes, x, layer.input)
            return zip(([y] + oracle.intermediates).joined(), ([dy] + intermediate).joined()).reduce(0) { $0 + $1.0 * $1.1 }
        }
        _ = try rig.forward(layer.x, mode: .training)
        let found = try rig.backward(dy, intermediate: intermediate)
        let dx = centralDifferences(at: layer.x) { loss(parameters, $0) }
        #expect(mismatch(try #require(found.x), dx, tolerance: layer.tolerance(dx)) == nil)
        for (name, values) in found.parameters {
            let expected = centralDifferences(at: parameters[name]!) { moved in
                var parameters = parameters
                parameters[name] = moved
                return loss(parameters, layer.x)
            }
            #expect(mismatch(values, expected, tolerance: layer.tolerance(expected)) == nil, "\(name)")
        }
        // Every trained parameter is handed on, once.
        #expect(rig.sink.finished.sorted() == found.parameters.keys.sorted())
    }

    @Test("Nobody computes the gradient of an input that nobody needs", arguments: LayerCase.all)
    func withoutInputGradient(_ layer: LayerCase) throws {
        let (whole, rig) = (try layer.rig(), try layer.rig(needsInputGradient: false))
        let y = try whole.forward(layer.x, mode: .training)
        #expect(bitDifference(try rig.forward(layer.x, mode: .training), y) == nil)
        let dy = layer.values(y.count, seed: 4)
        let intermediate = whole.pass.intermediateOutputs.map { _ in layer.values(layer.samples * 3, seed: 6) }
        let (one, other) = (try whole.backward(dy, intermediate: intermediate), try rig.backward(dy, intermediate: intermediate))
        for (name, values) in one.parameters { #expect(bitDifference(values, other.parameters[name]!) == nil, "\(name)") }
    }

    @Test("A layer that may overwrite its input gives the same", arguments: LayerCase.all)
    func disposable(_ layer: LayerCase) throws {
        let (keeping, overwriting) = (try layer.rig(), try layer.rig(disposable: true))
        let y = try keeping.forward(layer.x, mode: .training)
        #expect(bitDifference(try overwriting.forward(layer.x, mode: .training), y) == nil)
        let dy = layer.values(y.count, seed: 4)
        let intermediate = keeping.pass.intermediateOutputs.map { _ in layer.values(layer.samples * 3, seed: 6) }
        let one = try keeping.backward(dy, intermediate: intermediate)
        let other = try overwriting.backward(dy, intermediate: intermediate)
        #expect(bitDifference(one.x!, other.x!) == nil)
        for (name, values) in one.parameters { #expect(bitDifference(values, other.parameters[name]!) == nil, "\(name)") }
    }

    @Test("Bits do not depend on the number of threads", arguments: LayerCase.all)
    func threads(_ layer: LayerCase) throws {
        func run(_ threads: Int) throws -> (y: [Float], gradients: LayerRig.Gradients) {
            let rig = try layer.rig(threads: threads)
            let y = try rig.forward(layer.x, mode: .training)
            let intermediate = rig.pass.intermediateOutputs.map { _ in layer.values(layer.samples * 3, seed: 6) }
            return (y, try rig.backward(layer.values(y.count, seed: 4), intermediate: intermediate))
        }
        let one = try run(1)
        for threads in [2, 3] {
            let other = try run(threads)
            #expect(bitDifference(one.y, other.y) == nil)
            #expect(bitDifference(one.gradients.x!, other.gradients.x!) == nil)
            for (name, values) in one.gradients.parameters {
                #expect(bitDifference(values, other.gradients.parameters[name]!) == nil, "\(name), \(threads) threads")
            }
        }
    }

    @Test("In evaluation a sample's bits are its own", arguments: LayerCase.all)
    func evaluation(_ layer: LayerCase) throws {
        let rig = try layer.rig(threads: 2)
        let whole = try rig.forward(layer.x, mode: .evaluation)
        let width = whole.count / layer.samples
        for sample in 0..<layer.samples {
            // Alone, with its own frame.
            let count = layer.frames.shape.count
            let frame = Array(layer.frames.values[sample * count..<(sample + 1) * count])
            let alone = try LayerRig(layer.nodes, layer.input, samples: 1, frames: (layer.frames.shape, frame))
            alone.set(layer.parameters())
            let x = Array(layer.x[sample * layer.input.count..<(sample + 1) * layer.input.count])
            let y = try alone.forward(x, mode: .evaluation)
            #expect(bitDifference(y, Array(whole[sample * width..<(sample + 1) * width])) == nil, "sample \(sample)")
        }
    }

    @Test("A rank without samples has gradients of 0", arguments: LayerCase.all)
    func noSamples(_ layer: LayerCase) throws {
        let rig = try layer.rig()
        #expect(try rig.forward([], mode: .training).isEmpty)
        let intermediate = rig.pass.intermediateOutputs.map { _ in [Double]() }
        for (name, values) in try rig.backward([], intermediate: intermediate).parameters {
            #expect(values.allSatisfy { $0 == 0 }, "\(name)")
        }
    }
}
