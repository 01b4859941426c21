import HandData
import Kernels
import Networks
import Testing
import Training

struct RunConfigurationTests {
    @Test(arguments: Preset.allCases) func presetsAreWithoutFault(preset: Preset) {
        #expect(RunConfiguration(preset: preset).problem == nil)
    }

    /// The question's program as it was, and the two networks of `Docs` with the sizes of its text and its code.
    @Test func presetsAreThoseOfTheQuestion() {
        let verbatim = RunConfiguration(preset: .seedVerbatim)
        #expect(verbatim.output == .relu && verbatim.input == .raw && verbatim.initialValues == .truncatedNormal)
        let seed = RunConfiguration(preset: .seed)
        #expect(seed.output == .linear && seed.input == .normalized && seed.initialValues == .he)
        #expect(seed.batchSize == 100 && seed.steps == 1000 && seed.learningRate == 1e-4)
        #expect(seed.network(width: 320, height: 240).flattened == 153_600)
        #expect(RunConfiguration(preset: .shallow).network(width: 320, height: 240).flattened == 38_400)
    }

    @Test(arguments: ["", "x", "64", "64x", "x48", "64x48x3", "64X48", "-64x48", "0x48", "64x0", "64x4097", "9e3x10", " 64x48"])
    func malformedImageSizesAreRefused(text: String) {
        var configuration = RunConfiguration(preset: .seed)
        configuration.imageSize = text
        #expect(configuration.problem?.contains("--image-size is '\(text)'") == true)
    }
}
