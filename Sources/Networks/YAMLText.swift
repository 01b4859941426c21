package import Layers
import Yams

/// YAML as trees of text, with lines, and only as much of YAML as settings need: no anchors, no depth without end.
package enum YAMLText {
    /// What is wrong with a text, on one line.
    package struct Problem: Error, CustomStringConvertible, Equatable {
        package let message: String
        /// From 1.
        package let line: Int?

        package var description: String { message }
    }

    /// Brackets that may be open at a time, and columns that a line may be indented by.
    private static let (openBrackets, indentation) = (64, 200)
    /// Values of a text.
    private static let valueLimit = 20_000
    private static let scalarLimit = 200

    /// Reads a text; nil if it holds nothing.
    package static func read(_ text: String) throws(Problem) -> OptionNode? {
        try scan(text)
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw explain(error)
        }
        guard let node else { return nil }
        var count = 0
        return try convert(node, line: node.mark?.line, &count)
    }

    // MARK: Before reading

    /// Refuses what would take the reader too deep, and anchors, which can stand for more values than there is memory.
    private static func scan(_ text: String) throws(Problem) {
        var open = 0
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = withoutComment(line)
            func refuse(_ message: String) -> Problem { Problem(message: message, line: number + 1) }
            guard line.count(where: { $0 == "\"" }) % 2 == 0, line.count(where: { $0 == "'" }) % 2 == 0 else {
                throw refuse("a quotation that does not end on its line; hint: names need no quotation marks")
            }
            guard !line.contains(where: { $0 == "&" || $0 == "*" }) else {
                throw refuse("anchors (&) and aliases (*) are not read; hint: write the values out")
            }
            guard line.prefix(while: { " \t-?:".contains($0) }).count <= indentation else {
                throw refuse("nested too deeply; hint: at most \(indentation) columns of indentation")
            }
            for character in line {
                if character == "[" || character == "{" { open += 1 }
                if character == "]" || character == "}" { open -= 1 }
                guard open <= openBrackets else { throw refuse("nested too deeply; hint: at most \(openBrackets) open brackets") }
            }
        }
    }

    private static func withoutComment(_ line: Substring) -> Substring {
        var previous: Character = " "
        for (index, character) in zip(line.indices, line) {
            // What follows a quotation mark is taken for no comment, as it may be quoted.
            if character == "\"" || character == "'" { return line }
            if character == "#" && (previous == " " || previous == "\t") { return line[..<index] }
            previous = character
        }
        return line
    }

    // MARK: Yams's nodes

    /// - Parameter line: of the key, in a mapping.
    private static func convert(_ node: Node, line: Int?, _ count: inout Int) throws(Problem) -> OptionNode {
        count += 1
        guard count <= valueLimit else {
            throw Problem(message: "more than \(valueLimit) values; hint: a network of fewer layers", line: line)
        }
        switch node {
        case .scalar(let scalar): return OptionNode(.scalar(try text(of: scalar, line: line)), line: line)
        case .sequence(let sequence):
            var nodes: [OptionNode] = []
            for element in sequence { nodes.append(try convert(element, line: element.mark?.line ?? line, &count)) }
            return OptionNode(.list(nodes), line: line)
        case .mapping(let mapping):
            var entries: [OptionNode.Entry] = []
            for (key, value) in mapping {
                let line = key.mark?.line ?? line
                guard case .scalar(let scalar) = key else {
                    throw Problem(message: "a name that is no text; hint: lines of 'name: value'", line: line)
                }
                entries.append(OptionNode.Entry(try text(of: scalar, line: line), try convert(value, line: line, &count)))
            }
            return OptionNode(.map(entries), line: line)
        case .alias: throw Problem(message: "an alias; hint: write the values out", line: line)
        }
    }

    private static func text(of scalar: Node.Scalar, line: Int?) throws(Problem) -> String {
        let text = scalar.string
        guard text.utf8.count <= scalarLimit, text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw Problem(message: "a value of \(text.utf8.count) bytes or several lines; hint: short words and numbers", line: line)
        }
        guard scalar.style == .plain else { return text }
        if ["", "~", "null"].contains(text) { return "" }
        // YAML 1.1 reads 010 as 8, YAML 1.2 as 10.
        let digits = text.drop { $0 == "-" || $0 == "+" }
        if digits.count > 1, digits.first == "0", digits.allSatisfy({ $0.isASCII && $0.isNumber || $0 == "_" }) {
            throw Problem(message: "'\(text)' begins with 0: some read it as octal; hint: write it without", line: line)
        }
        return text
    }

    /// Yams's errors are several lines.
    private static func explain(_ error: any Error) -> Problem {
        let hint = "; hint: lines of 'name: value', lists of '- value'"
        switch error as? YamlError {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            return Problem(message: (context.map { "\($0.text), " } ?? "") + problem + hint, line: mark.line)
        case .duplicatedKeysInMapping(let names, let context):
            return Problem(
                message: "given more than once: \(names.map { "'\($0)'" }.joined(separator: ", ")); hint: each name once",
                line: context.mark.line)
        default:
            return Problem(message: "\("\(error)".split(whereSeparator: \.isNewline).first ?? "not YAML")\(hint)", line: nil)
        }
    }

    // MARK: Writing

    /// A text that `read` reads.
    package static func text(_ node: OptionNode) -> String {
        // Fails for what Yams's emitter cannot write, which text and trees of it are not.
        (try? Yams.serialize(node: convert(node), width: 110, allowUnicode: true)) ?? ""
    }

    private static func convert(_ node: OptionNode) -> Node {
        switch node.value {
        case .scalar(let text): Node(text)
        case .list(let nodes): .sequence(Node.Sequence(nodes.map(convert), .implicit, isFlat(node) ? .flow : .block))
        case .map(let entries):
            .mapping(
                Node.Mapping(entries.map { (Node($0.name), convert($0.node)) }, .implicit, isFlat(node) ? .flow : .block))
        }
    }

    /// Whether it fits a line: it holds nothing but text, or lists of text.
    private static func isFlat(_ node: OptionNode) -> Bool {
        func isText(_ node: OptionNode) -> Bool { node.text != nil }
        return switch node.value {
        case .scalar: true
        case .list(let nodes): nodes.allSatisfy(isText)
        case .map(let entries):
            entries.allSatisfy { entry in
                if case .list(let nodes) = entry.node.value { nodes.allSatisfy(isText) && !nodes.isEmpty } else { isText(entry.node) }
            }
        }
    }
}
