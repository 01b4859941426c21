package import Memory

/// What a layer is: a value that knows shapes, parameters and operations, and makes the running half. One file a layer.
package protocol LayerDescription: Sendable {
    /// Its name in files, such as `convolution`; also the stem of its parameters' names where none is given.
    static var kind: String { get }
    /// The shape that comes out of (h, w, c), in a few words, for the table of layers.
    static var result: String { get }
    /// A use of it in a network file, for the same table: what stands in a list `[...]` after a map of 16x16x64 and before other
    /// layers. `Scripts/check-export.sh` trains and exports it. nil: it stands nowhere but at the start of a preset.
    static var example: String? { get }
    /// All members at their defaults.
    init()
    /// Its members, in the order in which they are written. The first is the one that a bare value is for: `activation: relu`.
    static var members: [Member<Self>] { get }

    /// The shape of its output.
    /// - Throws: `ShapeError` when it cannot take such an input.
    func output(of input: Shape) throws(ShapeError) -> Shape
    /// Its parameters, of an input that it can take, in the order in which `make` asks the builder for them.
    func parameters(of input: Shape) -> [LayerParameterDeclaration]
    /// Floating-point operations of a forward pass, a sample: two a product-and-sum of convolutions and products.
    func operations(of input: Shape) -> Double
    /// The running half. Runs once to count memory and once to carve it, so it must not touch what it is given.
    func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer
    /// Whether it looks at the whole global batch in training: ranks compute it together.
    var readsWholeBatch: Bool { get }
    /// The layers inside; none in a layer that contains no others.
    func contents(of input: Shape) -> [LayerList]

    /// Appends its ONNX nodes: evaluation, not training.
    /// - Throws: when a parameter cannot be read.
    func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) throws -> ONNXValue
    /// Appends its lines of PyTorch, which change the variable `x` or make new ones: evaluation, not training.
    /// - Throws: when a layer inside does.
    func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) throws -> TorchValue
}

extension LayerDescription {
    package func parameters(of input: Shape) -> [LayerParameterDeclaration] { [] }
    package func operations(of input: Shape) -> Double { 0 }
    package func contents(of input: Shape) -> [LayerList] { [] }
    package var readsWholeBatch: Bool { false }

    /// Reads its members; those that are not there keep their defaults.
    /// - Throws: `OptionError` for an unknown member or a value that is none.
    init(reading node: OptionNode?) throws(OptionError) {
        self.init()
        try Self.members.read(node, into: &self, of: Self.kind, besides: [LayerNode.nameKey])
    }

    /// Its members that are not at their defaults.
    var written: [(String, OptionNode)] { Self.members.written(of: self, standard: Self()) }
}

/// Layers inside another.
package struct LayerList: Sendable {
    /// What stands before the layers' names in those of parameters; empty: nothing.
    package let name: String
    package let nodes: [LayerNode]
    /// What the list is given.
    package let input: Shape

    package init(_ nodes: [LayerNode], named name: String = "", input: Shape) {
        self.name = name
        self.nodes = nodes
        self.input = input
    }
}

/// How a parameter begins: a function of the seed and the element's number.
package enum InitialDistribution: Sendable, Equatable {
    case constant(Float)
    /// Cut off at two standard deviations; `deviation` is that of the uncut normal.
    case truncatedNormal(deviation: Float)
    case uniform(limit: Float)
    /// Principal components of the training poses, (components, values), in descending order of variance.
    case poseComponents
    /// The mean training pose, (values).
    case poseMean

    /// Truncated normal of variance gain / inputs (He et al. 2015: gain 2 before a ReLU, 1 elsewhere).
    package static func he(inputs: Int, gain: Float = 2) -> InitialDistribution {
        // Cutting at two deviations leaves a standard deviation of 0.8796 (the truncated normal's); divide it out.
        .truncatedNormal(deviation: (gain / Float(inputs)).squareRoot() / 0.879_625_66)
    }

    /// Uniform in +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010).
    package static func glorot(inputs: Int, outputs: Int) -> InitialDistribution {
        .uniform(limit: (6 / Float(inputs + outputs)).squareRoot())
    }
}

/// A parameter that a layer declares.
package struct LayerParameterDeclaration: Sendable, Equatable {
    /// Within the layer: `weight`; a container puts the layer's name before it.
    package var name: String
    package let shape: [Int]
    package let role: ParameterRole
    package let initial: InitialDistribution
    /// Its gradient is made in blocks of rows, and need not be held whole.
    package let isTiled: Bool
    /// Rows may be divided among ranks, with the activations sent to them: a fully connected layer's weights.
    package let isDivisible: Bool
    /// It stands in one of several branches that compute while the others' activations travel.
    package private(set) var isAbreast = false

    package init(
        _ name: String, _ shape: [Int], role: ParameterRole, initial: InitialDistribution, isTiled: Bool = false,
        isDivisible: Bool = false
    ) {
        self.name = name
        self.shape = shape
        self.role = role
        self.initial = initial
        self.isTiled = isTiled
        self.isDivisible = isDivisible
    }

    /// Values.
    package var count: Int { shape.reduce(1, *) }

    /// Parameters of at least so many values are large: worth dividing among ranks.
    package static let largeCount = 1 << 18

    /// - Parameter isAbreast: whether the container is one of several branches that run side by side.
    func inside(_ container: String, isAbreast: Bool = false) -> LayerParameterDeclaration {
        var copy = self
        copy.isAbreast = self.isAbreast || isAbreast
        // A layer without a name puts none before its parameters'.
        if !container.isEmpty { copy.name = "\(container).\(name)" }
        return copy
    }
}
