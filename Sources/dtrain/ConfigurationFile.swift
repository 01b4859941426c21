import ArgumentParser
import Glibc
import Training
import Yams

/// Run configurations as YAML: what `--config` reads and `config.yaml` holds.
enum ConfigurationFile {
    /// Larger files are no configuration.
    private static let byteLimit = 1 << 20

    /// The YAML of a resolved configuration.
    static func text(_ configuration: RunConfiguration) throws -> String {
        "# Written by dtrain: everything this run was made from. `dtrain --config` reads it.\n"
            + (try YAMLEncoder().encode(configuration))
    }

    /// Reads a file, in which every key is optional, over the defaults of a preset.
    /// - Parameter preset: beats the file's `preset`.
    /// - Throws: `ValidationError` with one line: what, where.
    static func read(_ path: String, preset: Preset?) throws -> RunConfiguration {
        let settings = try mapping(try contents(path), path: path)
        let known = Set(RunConfiguration.CodingKeys.allCases.map(\.rawValue))
        for (key, _) in settings {
            let name = key.string ?? "?"
            guard known.contains(name) else {
                throw ValidationError(
                    "\(place(path, key)): unknown setting '\(name)'; hint: the names are those of the flags, see dtrain train --help")
            }
        }
        var chosen = preset
        if chosen == nil, let node = settings["preset"] {
            chosen = node.string.flatMap(Preset.init(rawValue:))
            guard chosen != nil else {
                throw ValidationError(
                    "\(place(path, node)): no preset '\(node.string ?? "?")'; hint: \(Preset.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }
        let defaults = RunConfiguration(preset: chosen ?? .seed)
        var merged = try mapping(try YAMLEncoder().encode(defaults), path: path)
        for (key, value) in settings { merged[key] = value }
        merged["preset"] = Node(defaults.preset.rawValue)
        // A run directory is one run's own: a configuration is used again, its directory is not.
        merged["run-dir"] = nil
        do {
            return try YAMLDecoder().decode(RunConfiguration.self, from: Node.mapping(merged))
        } catch let error as DecodingError {
            throw ValidationError(explain(error, path: path, settings: settings))
        }
    }

    /// `problem` with its place in the file, where it is about a setting (`--NAME ...`) that the file makes.
    static func locate(_ problem: String, path: String) throws -> String {
        let culprit = try mapping(try contents(path), path: path).first { key, _ in
            key.string.map { problem.hasPrefix("--\($0) ") } ?? false
        }
        return culprit.map { "\(place(path, $0.value)): \(problem)" } ?? problem
    }

    private static func explain(_ error: DecodingError, path: String, settings: Node.Mapping) -> String {
        let context: DecodingError.Context? =
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
                .dataCorrupted(let context):
                context
            @unknown default: nil
            }
        let key = context?.codingPath.first?.stringValue ?? ""
        let node = settings[Node(key)]
        return "\(place(path, node)): '\(node?.string ?? "?")' is no value of '\(key)'; hint: dtrain train --help tells the values"
    }

    /// A syntax error as one line.
    private static func explain(_ error: any Error, path: String) -> String {
        switch error as? YamlError {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            return "\(path):\(mark.line): " + (context.map { "\($0.text), " } ?? "") + problem
        case .duplicatedKeysInMapping(let names, _):
            return "\(path): set more than once: \(names.map { "'\($0)'" }.joined(separator: ", "))"
        default:
            return "\(path): \("\(error)".split(whereSeparator: \.isNewline).first ?? "not YAML")"
        }
    }

    private static func place(_ path: String, _ node: Node?) -> String {
        node?.mark.map { "\(path):\($0.line)" } ?? path
    }

    private static func mapping(_ text: String, path: String) throws -> Node.Mapping {
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw ValidationError("\(explain(error, path: path)); hint: lines of `name: value`, each name once")
        }
        guard let node else { return Node.Mapping([]) }
        guard case .mapping(let mapping) = node else {
            throw ValidationError("\(path): holds no settings; hint: lines of `name: value`, named as the flags")
        }
        return mapping
    }

    private static func contents(_ path: String) throws -> String {
        guard let file = fopen(path, "r") else {
            throw ValidationError("\(path): \(String(cString: strerror(errno))); hint: --config names a YAML file")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: byteLimit + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0 else {
            throw ValidationError("\(path): \(String(cString: strerror(errno))); hint: --config names a YAML file")
        }
        guard count <= byteLimit, let text = String(validating: bytes[..<count], as: UTF8.self) else {
            throw ValidationError("\(path): not a text of at most 1 MiB; hint: --config names a YAML file")
        }
        return text
    }
}
