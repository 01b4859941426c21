import Foundation
import enum Kernels.OutputHead
import Layers
import Networks
import Testing

@Suite("Network files")
struct NetworkFileTests {
    private static func problem(_ text: String) -> String {
        do {
            _ = try NetworkFile.parse(text, path: "net.yaml")
            return "none"
        } catch {
            return error.description
        }
    }

    private static let head = "input: {height: 96, width: 96}\nlayers:\n"

    @Test("A preset is what is read back from its YAML and its JSON", arguments: Architecture.allCases)
    func roundTrip(_ architecture: Architecture) throws {
        let description = architecture.description()
        let text = NetworkFile.text(description)
        let read = try NetworkFile.parse(text, path: "net.yaml")
        #expect(read == description)
        #expect(read.declarations == description.declarations && read.operations == description.operations)
        #expect(read.loss == description.loss && read.input == description.input)
        let decoded = try JSONDecoder().decode(NetworkDescription.self, from: try JSONEncoder().encode(description))
        #expect(decoded == description && decoded.declarations == description.declarations)
    }

    @Test("The question's network is what is read back, with the names that its checkpoints have")
    func window() throws {
        let description = WindowNetwork(height: 60, width: 80, head: .exp, initialValues: .truncatedNormal).description
        let read = try NetworkFile.parse(NetworkFile.text(description), path: "net.yaml")
        #expect(read == description && read.declarations == description.declarations)
        #expect(read.declarations.map(\.name).prefix(3) == ["conv1.weight", "conv1.bias", "fc1.weight"])
    }

    @Test("Every layer is what is read back from its members", arguments: LayerCase.all)
    func members(_ layer: LayerCase) throws {
        let read = try [LayerNode](reading: layer.nodes.node)
        #expect(read.node == layer.nodes.node)
        #expect(read.parameters(of: layer.input) == layer.nodes.parameters(of: layer.input))
        #expect(try read.output(of: layer.input) == layer.nodes.output(of: layer.input))
        let text = YAMLText.text(layer.nodes.node)
        #expect(try YAMLText.read(text) == layer.nodes.node, "\(text)")
    }

    @Test("Every layer of the catalogue has a name of its own, a definition and cases")
    func catalogue() {
        #expect(Set(LayerCatalog.kinds).count == LayerCatalog.kinds.count)
        // The window stem has tests of its own.
        #expect(LayerCatalog.types.filter { !($0 is any TestedLayer.Type) }.map { $0.kind } == ["window-stem"])
        for case let type as any TestedLayer.Type in LayerCatalog.types {
            let tried = Set(type.cases.flatMap { $0.nodes.map { Swift.type(of: $0.layer).kind } })
            #expect(tried.contains(type.kind), "no case of \(type.kind) has it")
        }
    }

    @Test("The example is a network that fits")
    func example() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let path = folder.appending(path: "Docs/examples/tiny.yaml").path
        let description = try NetworkFile.read(path)
        #expect(description.declarations.contains { $0.name == "block3.convolution2.weight" })
        #expect(description.loss == Loss(.smoothL1, sigma: 10))
        #expect(description.operations < 0.02e9)
    }

    @Test("Short forms: a bare value is the first member, one number is height and width, no loss is the mean squared error")
    func shortForms() throws {
        let read = try NetworkFile.parse(
            "input: 32\nlayers:\n- convolution: 8\n- activation: leaky-relu\n- max-pooling: 2\n- dropout:\n- dense: 48\n", path: "n")
        #expect(read.input == Shape(height: 32, width: 32, channels: 1) && read.loss == Loss())
        #expect((read.layers[0].layer as? Convolution)?.channels == 8)
        #expect((read.layers[1].layer as? Activation)?.function == .leakyRelu)
        #expect((read.layers[3].layer as? Dropout)?.rate == 0.5)
        #expect(read.layers[4].line == 7)
    }

    /// A text and how its error begins.
    struct Bad: Sendable, CustomTestStringConvertible {
        let text, error: String
        var testDescription: String { error }
        init(_ text: String, _ error: String) { (self.text, self.error) = (text, error) }

        init(layers: String, _ error: String) { self.init(NetworkFileTests.head + layers, error) }
    }

    static let bad: [Bad] = [
        Bad("", "net.yaml: holds no network; hint: "),
        Bad("layers", "net.yaml:1: 'layers' where a network is expected; hint: "),
        Bad("layers: [dense: 48]", "net.yaml: the size of the input is not given; hint: "),
        Bad("input: 96", "net.yaml: there are no layers; hint: "),
        Bad("input: 96\nlayers: []", "net.yaml: a network needs layers; hint: "),
        Bad("input: 96\nlayers: [activation]", "net.yaml:2: the network gives 96x96x1, but a label has 48 values"),
        Bad("input: {height: -3, width: 96}\nlayers: [dense: 48]", "net.yaml:1: 'height' is '-3'; hint: a whole number from 1"),
        Bad("input: {height: 96}\nlayers: [dense: 48]", "net.yaml:1: the size of the input is not given"),
        Bad("input: 96\nlayers: [dense: 48]\ncrop: 250", "net.yaml:3: a network has no 'crop'; hint: input, layers, loss"),
        Bad("input: 96\nlayers: [dense: 48]\nloss: l3", "net.yaml:3: 'kind' is 'l3'; hint: mse, smooth-l1, huber"),
        Bad(
            "input: 96\nlayers: [dense: 48]\nloss: {kind: mse, sigma: 2}",
            "net.yaml:3: the loss mse has no 'sigma'; hint: kind: smooth-l1"),
        Bad("input: 96\nlayers: [dense: 48]\nloss:\n  kind: huber\n  delta: 0\n", "net.yaml:5: 'delta' is '0'; hint: a number from"),
        Bad(layers: "- convolutoin: 8\n", "net.yaml:3: no layer is called 'convolutoin'; hint: activation, "),
        Bad(layers: "- dense:\n    units: 48\n    size: 3\n", "net.yaml:5: layer dense1: dense has no 'size'; hint: units, "),
        Bad(
            layers: "- convolution: {name: conv1, channels: 8}\n- convolution: {name: conv2, channels: -8}\n",
            "net.yaml:4: layer conv2: 'channels' is '-8'; hint: a whole number from 1"),
        Bad(layers: "- dense: 010\n", "net.yaml:3: '010' begins with 0: some read it as octal; hint: "),
        Bad(layers: "- dense: 48.5\n", "net.yaml:3: layer dense1: 'units' is '48.5'; hint: a whole number"),
        Bad(layers: "- dropout: nan\n", "net.yaml:3: layer dropout1: 'rate' is 'nan'; hint: a number from 0.0 to 0.99"),
        Bad(layers: "- upsampling: 2\n", "net.yaml:3: layer upsampling1: upsampling takes no value, not '2'; hint: "),
        Bad(layers: "- activation: tanh\n", "net.yaml:3: layer activation1: 'function' is 'tanh'; hint: relu, leaky-relu"),
        Bad(layers: "- convolution: {channels: 4, bias: yes}\n", "net.yaml:3: layer convolution1: 'bias' is 'yes'; hint: true or false"),
        Bad(
            layers: "- dense: {units: 48, initial: zeros}\n",
            "net.yaml:3: layer dense1: 'initial' is 'zeros'; hint: he, linear, small, glorot"),
        Bad(layers: "- {dense: 48, activation: relu}\n", "net.yaml:3: a mapping where one layer is expected; hint: "),
        Bad(layers: "- dense: {name: 'a b', units: 48}\n", "net.yaml:3: layer dense1: 'name' is 'a b'; hint: letters"),
        Bad(layers: "- dense: {name: a, units: 48}\n- dense: {name: a, units: 48}\n", "net.yaml:4: two layers of one list are called 'a'"),
        Bad(layers: "- dense: {name: '', units: 48}\n- dense: {name: '', units: 48}\n", "net.yaml: two parameters are called 'weight'"),
        Bad(layers: "- convolution: {kernel: 3}\n", "net.yaml:3: layer convolution1: a convolution has no channels; hint: "),
        Bad(layers: "- convolution: {channels: 4, kernel: 4}\n", "net.yaml:3: layer convolution1: a kernel of 4 is even"),
        Bad(
            layers: "- residual:\n    layers:\n    - convolution: 4\n- dense: 48\n",
            "net.yaml:3: layer residual1: the layers give 96x96x4, the skip 96x96x1: they cannot be added; hint: "),
        Bad(
            layers: "- residual:\n    layers:\n    - activation\n    skip:\n    - max-pooling: {size: 0}\n",
            "net.yaml:7: layer residual1.skip.max-pooling1: 'size' is '0'; hint: a whole number from 1 to 16"),
        Bad(
            layers: "- branches:\n    branches:\n    - [activation]\n    - - max-pooling\n      - region: {rows: [0, 49], columns: [0, 1]}\n",
            "net.yaml:7: layer branches1.branch2.region1: rows [0, 49] of a map of 48x48x1; hint: rows: [first, end] within 0 to 48"),
        Bad(
            layers: "- branches:\n    branches:\n    - [activation]\n    - [max-pooling]\n",
            "net.yaml:3: layer branches1: branches of 96x96x1, 48x48x1 cannot be concatenated; hint: "),
        Bad(
            layers: "- intermediate: [dense: 3]\n- dense: 48\n",
            "net.yaml:3: layer intermediate1: the intermediate output has 3 values, not 48; hint: "),
        Bad(layers: "- soft-argmax\n", "net.yaml:3: layer soft-argmax1: soft-argmax of 16 joints takes 64 channels"),
        Bad(layers: "- dense: 47\n", "net.yaml:3: the network gives 47, but a label has 48 values"),
        Bad(layers: String(repeating: "- upsampling\n", count: 40), "net.yaml:10: layer upsampling8: gives "),
        Bad(layers: String(repeating: "- dense: 1000000\n", count: 80) + "- dense: 48\n", "net.yaml: more than 64 x 2^30 parameters; hint: "),
        Bad(layers: "- max-pooling\n- activation\n- channels: [0, 1\n", "net.yaml:"),
        Bad(layers: "- dense: 48\n  dense: 48\n", "net.yaml:3: given more than once: 'dense'; hint: "),
        Bad(layers: "- &a dense: 48\n- *a\n", "net.yaml:3: anchors (&) and aliases (*) are not read; hint: "),
        Bad("a: [\"x # \", &b c]\n", "net.yaml:1: anchors (&) and aliases (*) are not read; hint: "),
        Bad("a: \"x\n # \", &b c]\n", "net.yaml:1: a quotation that does not end on its line; hint: "),
        Bad(String(repeating: "[", count: 200_000), "net.yaml:1: nested too deeply; hint: "),
        Bad(String(repeating: "- ", count: 100_000), "net.yaml:1: nested too deeply; hint: "),
        Bad((0..<300).map { String(repeating: " ", count: $0) + "a:\n" }.joined(), "net.yaml:202: nested too deeply; hint: "),
        Bad("input: 96\nlayers: [" + String(repeating: "activation,", count: 20_000) + "dense: 48]", "net.yaml:2: more than 20000 values"),
        Bad("input: \"\\e[31m\"\nlayers: [dense: 48]", "net.yaml:1: a value of "),
    ]

    @Test("What cannot be built is refused with file, line, layer and a way out", arguments: bad)
    func refuses(_ bad: Bad) {
        let problem = Self.problem(bad.text)
        #expect(problem.hasPrefix(bad.error), "\(problem)")
        #expect(problem.contains("hint: ") && !problem.contains(where: \.isNewline), "\(problem)")
    }

    @Test("Files that cannot be read are refused")
    func unreadable() throws {
        for path in ["/nowhere/net.yaml", "/"] {
            let error = #expect(throws: NetworkFile.Failure.self) { try NetworkFile.read(path) }
            #expect(error?.description.hasPrefix("\(path): ") == true && error?.description.contains("hint: --network") == true)
        }
    }

    @Test("As deep as the limits allow, reading ends in time")
    func deep() {
        // 21 residual layers inside each other: three brackets each.
        let text =
            "input: 96\nlayers: " + String(repeating: "[residual: [activation, ", count: 20) + "activation"
            + String(repeating: "]]", count: 20)
        #expect(Self.problem(text).hasPrefix("net.yaml:2: "))
    }

    @Test("Any cut or changed byte of a network gives a network or one line")
    func mutations() {
        let text = Array(NetworkFile.text(NetworkDescription.hand()).utf8)
        var state: UInt64 = 9
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let bytes = Array("[]{}:-,'\"#&*0 9\n\tx~!|>%@`".utf8)
        for _ in 0..<1500 {
            var changed = text
            for _ in 0...next(3) { changed[next(changed.count)] = bytes[next(bytes.count)] }
            if next(4) == 0 { changed.removeLast(next(changed.count)) }
            let problem = Self.problem(String(decoding: changed, as: UTF8.self))
            #expect(problem == "none" || problem.hasPrefix("net.yaml") && !problem.contains(where: \.isNewline), "\(problem)")
        }
    }
}
