import ArgumentParser
import Collectives
import FoundationEssentials
import Glibc
import Optimizers
import Synchronization
import Training
import Yams

/// Run configurations as YAML: what `--config` reads and `config.yaml` holds.
enum ConfigurationFile {
    /// Larger files are no configuration.
    private static let byteLimit = 1 << 20

    /// The YAML of a resolved configuration.
    static func text(_ configuration: RunConfiguration) -> String {
        let lines = Settings.all.map { SettingYAML.line($0, configuration) + "\n" }
        return "# Written by dtrain: everything this run was made from. `dtrain --config` reads it.\n" + lines.joined()
    }

    /// Reads a file, in which every key is optional, over the defaults of a preset.
    /// - Parameter preset: beats the file's `preset`.
    /// - Throws: `ValidationError` with one line: what, where.
    static func read(_ path: String, preset: Preset?) throws -> RunConfiguration {
        var rows: [(setting: Setting, value: Node)] = []
        for (key, value) in try mapping(try contents(path), path: path) {
            let name = key.string ?? "?"
            guard let setting = Settings[name] else {
                throw ValidationError(
                    "\(place(path, key)): unknown setting '\(name)'; hint: the names are those of the flags, see dtrain train --help")
            }
            // A run directory is one run's own: a configuration is used again, its directory is not.
            if name != "run-dir" { rows.append((setting, value)) }
        }
        var configuration = RunConfiguration(preset: preset ?? .seed)
        func set(_ setting: Setting, _ value: Node) throws {
            do {
                try SettingYAML.set(setting, to: value, in: &configuration)
            } catch {
                throw ValidationError("\(place(path, value)): \(error.description)")
            }
        }
        if preset == nil, let row = rows.first(where: { $0.setting.name == "preset" }) {
            try set(row.setting, row.value)
            configuration = RunConfiguration(preset: configuration.preset)
        }
        for row in rows where row.setting.name != "preset" { try set(row.setting, row.value) }
        return configuration
    }

    /// `problem` with its place in the file, where it is about a setting (`--NAME ...`) that the file makes.
    static func locate(_ problem: String, path: String) throws -> String {
        let culprit = try mapping(try contents(path), path: path).first { key, _ in
            key.string.map { problem.hasPrefix("--\($0) ") } ?? false
        }
        return culprit.map { "\(place(path, $0.value)): \(problem)" } ?? problem
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

    /// Files that were read. A pipe gives its text once, and it is asked for more than once.
    private static let texts = Mutex<[String: String]>([:])

    private static func contents(_ path: String) throws -> String {
        if let known = texts.withLock({ $0[path] }) { return known }
        let text = try read(path)
        texts.withLock { $0[path] = text }
        return text
    }

    private static func read(_ path: String) throws -> String {
        try requireOneReader(path)
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

    /// A pipe's text goes to one process; of several ranks each would read a part of it, or nothing.
    private static func requireOneReader(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0, ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT),
            !Launcher.detect(ProcessInfo.processInfo.environment).isSingleProcess
        else { return }
        throw ValidationError(
            "\(path): is no regular file, and only one process can read it, not several ranks; hint: --config with a file that all "
                + "nodes see")
    }
}
