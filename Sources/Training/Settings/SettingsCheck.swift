package import Collectives

/// What every rank was started with, compared before the first step: ranks of different settings would train on, each another
/// network, and what they agree upon were nobody's.
package struct SettingsCheck {
    /// A name and its value.
    package typealias Named = (name: String, value: String)

    private let own: [[Named]]

    /// - Parameters:
    ///   - configuration: all ranks must have the same, but for rows of `Settings` that say otherwise.
    ///   - program: what tells programs apart, such as the version; all must run the same.
    ///   - environment: variables that should be the same; a difference is told.
    package init(_ configuration: RunConfiguration, program: [Named], environment: [Named]) {
        let settings = Settings.all.filter { $0.ranks != .own }.map { ($0.name, $0.comparison(in: configuration) ?? Self.missing) }
        own = [settings.sorted { $0.0 < $1.0 }, program, environment]
    }

    private static let missing = "none"

    /// Compares; called by all ranks together.
    /// - Returns: notes on what differs and may.
    /// - Throws: `TrainingFailure` with exit code 64, the same on all ranks: a line for each setting that differs.
    package func run(_ communicator: any Communicator) throws -> [String] {
        let host = communicator.place.host
        let text = ([[("host", host)]] + own).map { list in
            list.map { "\($0.name)\u{1F}\($0.value)" }.joined(separator: "\u{1E}")
        }.joined(separator: "\u{1D}")
        let all = try communicator.allgather(Array(text.utf8)).map(Self.parse)
        let hosts = all.map { $0[0].first?.value ?? "?" }
        var differences = Self.differences(all.map { $0[1] }, hosts: hosts) { name, first, other in
            Settings[name]?.ranks == .ownIfGiven && first != Self.missing && other != Self.missing
        }.map { "--\($0); hint: give all ranks the same command line and the same --config; a file on each node's own disk may be an old copy" }
        differences += Self.differences(all.map { $0[2] }, hosts: hosts)
            .map { "the program's \($0); hint: give all nodes the same dtrain" }
        if !differences.isEmpty { throw TrainingFailure(differences, exitCode: 64) }
        return Self.differences(all.map { $0[3] }, hosts: hosts)
    }

    /// A line for each name whose value is not the same everywhere: both values, and who has them.
    private static func differences(
        _ ranks: [[Named]], hosts: [String], isFree: (String, String, String) -> Bool = { _, _, _ in false }
    ) -> [String] {
        var lines: [String] = []
        for (index, setting) in ranks[0].enumerated() {
            let others = ranks.indices.filter { rank in
                let other = ranks[rank].count == ranks[0].count ? ranks[rank][index].value : missing
                return other != setting.value && !isFree(setting.name, setting.value, other)
            }
            guard let rank = others.first else { continue }
            let value = ranks[rank].count == ranks[0].count ? ranks[rank][index].value : missing
            let more = others.count - 1
            lines.append(
                "\(setting.name) differs between ranks: \(setting.value) on rank 0 (\(hosts[0])), \(value) on rank \(rank) "
                    + "(\(hosts[rank]))" + (more > 0 ? ", and another than rank 0's on \(more) more" : ""))
        }
        return lines
    }

    private static func parse(_ bytes: [UInt8]) -> [[Named]] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\u{1D}", omittingEmptySubsequences: false).map { list in
            list.split(separator: "\u{1E}").map { entry in
                let fields = entry.split(separator: "\u{1F}", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                return (fields[0], fields.count > 1 ? fields[1] : "")
            }
        }
    }
}
