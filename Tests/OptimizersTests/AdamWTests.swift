import Memory
import Optimizers
import Testing

/// Its arithmetic is checked against PyTorch's (`GoldenOptimizerTests`) and the formula below (`OptimizerTests`).
@Suite("AdamW")
struct AdamWTests {
    @Test("keeps two moments, decays by itself, bounds its steps, and can be fused where nothing decays")
    func facts() throws {
        let rig = try OptimizerRig(OptimizerConfiguration(kind: .adamw))
        #expect(rig.optimizer.stateNames == ["m", "v"])
        #expect(rig.optimizer.configuration.weightDecay == 0.01)
        #expect(rig.optimizer.largestGrowth != nil)
        let parameter = OptimizerRig.table["fc.weight"]
        #expect(rig.optimizer.fusedUpdate(of: parameter) == nil)
        let plain = try OptimizerRig(OptimizerConfiguration(kind: .adamw, weightDecay: 0))
        #expect(plain.optimizer.fusedUpdate(of: parameter) != nil)
    }

    @Test("a decay that takes weights to 0 in one step is refused")
    func vanishing() {
        let vanishing = OptimizerConfiguration(kind: .adamw, learningRate: 0.1, weightDecay: 10)
        #expect(vanishing.problem?.hasPrefix("--weight-decay is 10.0, which") == true)
        // Only weights decay, whatever the biases' rate.
        let sound = OptimizerConfiguration(kind: .adamw, learningRate: 0.1, weightDecay: 6, biasRateMultiplier: 2)
        #expect(sound.problem == nil)
    }
}

extension AdamW: TestedOptimizer {
    static func oracle(_ weight: inout Double, _ state: inout [Double], _ step: OracleStep) {
        let settings = step.settings
        weight -= step.rate * step.decay * weight
        state[0] = settings.beta1 * state[0] + (1 - settings.beta1) * step.gradient
        state[1] = settings.beta2 * state[1] + (1 - settings.beta2) * step.gradient * step.gradient
        let first = state[0] / (1 - step.power(of: settings.beta1))
        let second = state[1] / (1 - step.power(of: settings.beta2))
        weight -= step.rate * first / (second.squareRoot() + settings.epsilon)
    }
}
