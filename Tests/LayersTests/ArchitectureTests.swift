import Layers
import Memory
import Networks
import Testing

@Suite("Architectures")
struct ArchitectureTests {
    /// Trained values, those kept besides, and operations a frame.
    struct Size: Sendable, CustomTestStringConvertible {
        let architecture: Architecture
        let trained, kept: Int
        let operations: Double
        var testDescription: String { architecture.rawValue }
    }

    /// By hand, from the tables of the papers:
    /// - DeepPrior: 208 + 1608 + 584 + 992,256 + 1,049,600 + 30,750; the basis of 30 x 48 and its mean are kept.
    /// - REN: 160 + 2320 + (544 + 18,496) + (2112 + 73,856) + 4 (4,720,640 + 4,196,352) + 393,264.
    /// - dense: a bias only where no normalisation follows, and one merging convolution where the paper adds two. (With a bias
    ///   everywhere it would be 1,376,480.)
    /// - dtrain-hand: 0.0773 GFLOP in the trunk, 0.0118 in the maps.
    /// Running statistics are kept besides: two for each normalised channel.
    static let sizes = [
        Size(architecture: .deepPrior, trained: 2_075_006, kept: 1_488, operations: 0.0128e9),
        Size(architecture: .ren, trained: 36_158_720, kept: 0, operations: 0.292e9),
        Size(architecture: .dense, trained: 1_369_728, kept: 13_248, operations: 0.728e9),
        Size(architecture: .hand, trained: 261_744, kept: 1_120, operations: 0.0891e9),
    ]

    @Test("A preset has the parameters and operations of its table", arguments: sizes)
    func matchesTable(_ size: Size) {
        let description = size.architecture.description()
        #expect(description.problem == nil)
        let declarations = description.declarations
        #expect(declarations.filter { $0.role.isTrained }.reduce(0) { $0 + $1.count } == size.trained)
        #expect(declarations.filter { !$0.role.isTrained }.reduce(0) { $0 + $1.count } == size.kept)
        // Published figures have two or three digits.
        #expect(abs(description.operations / size.operations - 1) < 0.05, "\(description.operations)")
    }

    @Test("Parameters have names that say where they are")
    func names() {
        #expect(
            Architecture.deepPrior.description().declarations.map(\.name) == [
                "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "conv3.weight", "conv3.bias", "fc1.weight", "fc1.bias",
                "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias", "basis.components", "basis.mean",
            ])
        let ren = Architecture.ren.description().declarations.map(\.name)
        #expect(ren.contains("regions.branch4.fc2.weight") && ren.contains("residual3.conv2.bias"))
        let dense = Architecture.dense.description().declarations.map(\.name)
        #expect(dense.contains("stack1.hourglass.hourglass.hourglass.skip.beside.conv2-norm.running-mean"))
        #expect(dense.contains("stack1.merge.weight") && dense.contains("maps.branch2.offsets.weight"))
        #expect(Architecture.hand.description().declarations.map(\.name).contains("block2.skip.conv-norm.scale"))
    }

    @Test("Large dense layers can be divided among ranks")
    func divisible() {
        #expect(Architecture.deepPrior.description().divisible.map(\.name) == ["fc1.weight", "fc2.weight"])
        #expect(Architecture.ren.description().divisible.count == 9)
        #expect(Architecture.dense.description().divisible.isEmpty && Architecture.hand.description().divisible.isEmpty)
    }

    @Test("Only networks with batch normalisation look at the whole batch, and only stacks have outputs on the way")
    func statistics() {
        #expect(Architecture.allCases.filter { $0.description().hasBatchStatistics } == [.dense, .hand])
        #expect(Architecture.allCases.map { $0.description().intermediateWeights.count } == [0, 0, 1, 0])
        #expect(NetworkDescription.dense(stacks: 3).intermediateWeights == [1, 1])
    }

    @Test("A preset takes crops of other sizes", arguments: Architecture.allCases)
    func otherSizes(_ architecture: Architecture) {
        #expect(architecture.description(size: 160).problem == nil)
    }

    @Test("A size that an hourglass cannot halve three times is refused with the layer's name")
    func unevenHourglass() {
        let problem = Architecture.dense.description(size: 80).problem
        #expect(
            problem?.description.hasPrefix("layer stack1.hourglass.hourglass.hourglass: the layers give 4x4x128, the skip 5x5x128") == true,
            "\(problem?.description ?? "none")")
    }
}
