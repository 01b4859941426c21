import Glibc

/// The line that ends a stalled run: where each rank stood when it was last heard of.
package struct StallReport {
    /// A rank and what is known of it.
    package struct Entry {
        package let rank: Int
        package let host: String
        /// Nil: no word came from its node.
        package let standing: ProgressBoard.Standing?
        /// Its process was stopped (SIGSTOP), or is gone; nil: neither, or not known.
        package let state: String?

        package init(rank: Int, host: String, standing: ProgressBoard.Standing?, state: String? = nil) {
            self.rank = rank
            self.host = host
            self.standing = standing
            self.state = state
        }
    }

    /// Ranks named one by one; where there are more, those of the most frequent state are counted.
    private static let most = 32

    /// - Parameters:
    ///   - agreedStep: the last step that all ranks have agreed upon, for ranks of which nothing else is known.
    ///   - now: as `ProgressBoard.now`.
    package static func line(_ entries: [Entry], silence: Double, agreedStep: Int, now: Int) -> String {
        var named = entries
        var counted = ""
        if entries.count > most {
            let groups = Dictionary(grouping: entries) { state($0, agreedStep: agreedStep) }
            if let usual = groups.max(by: { ($0.value.count, $1.key) < ($1.value.count, $0.key) }) {
                named = entries.filter { entry in state(entry, agreedStep: agreedStep) != usual.key }
                counted = "; \(usual.value.count) ranks: \(usual.key)"
            }
            if named.count > most {
                counted += "; and \(named.count - most) more"
                named = Array(named.prefix(most))
            }
        }
        let list = named.map { entry -> String in
            let age = entry.standing.map { ", \(max(0, now - $0.since) / 1000) s ago" } ?? ""
            return "rank \(entry.rank) on \(entry.host): \(state(entry, agreedStep: agreedStep))\(age)"
        }
        let behind = furthestBehind(entries)
        return "no progress for \(Int(silence)) s, so the run ends; " + list.joined(separator: "; ") + counted
            + (behind.map { "; furthest behind: rank \($0)" } ?? "")
            + "; hint: look at that rank's host, storage and network; resume with --resume auto; --stall-timeout sets the time"
    }

    private static func state(_ entry: Entry, agreedStep: Int) -> String {
        let state = entry.state.map { " (\($0))" } ?? ""
        guard let standing = entry.standing else { return "no word since step \(agreedStep)\(state)" }
        return "step \(standing.step), \(standing.phase.name)\(state)"
    }

    /// The one rank that is behind all others, if there is one.
    private static func furthestBehind(_ entries: [Entry]) -> Int? {
        func order(_ entry: Entry) -> (Int, Int) {
            entry.standing.map { ($0.step, $0.phase.rawValue) } ?? (Int.max, 0)
        }
        if let stopped = entries.first(where: { $0.state != nil }), entries.count(where: { $0.state != nil }) == 1 {
            return stopped.rank
        }
        guard let least = entries.min(by: { order($0) < order($1) }), least.standing != nil,
            entries.count(where: { order($0) == order(least) }) == 1, entries.count > 1
        else { return nil }
        return least.rank
    }

    /// What keeps a process from running as usual. The numbers travel between nodes.
    package enum AbnormalState: Int32 {
        case stopped = 1
        case dead, gone, waiting

        var text: String {
            switch self {
            case .stopped: "stopped"
            case .dead: "dead"
            case .gone: "gone"
            case .waiting: "waiting for a device"
            }
        }

        /// What proc(5) says of a process; nil: it runs as usual.
        init?(of process: Int32) {
            guard process > 0 else { return nil }
            guard let file = fopen("/proc/\(process)/stat", "r") else {
                self = .gone
                return
            }
            defer { fclose(file) }
            var buffer = [CChar](repeating: 0, count: 1024)
            let count = fread(&buffer, 1, buffer.count, file)
            // The second field is the program's name in parentheses, which may hold anything.
            let text = String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
            guard let end = text.lastIndex(of: ")") else { return nil }
            switch text[text.index(after: end)...].first(where: { $0 != " " }) {
            case "T", "t": self = .stopped
            case "Z", "X": self = .dead
            case "D": self = .waiting
            default: return nil
            }
        }
    }

    /// The same in words, of a process of this node, or as its node told (`ProgressBoard.Standing.process`).
    package static func abnormalState(of process: Int32) -> String? {
        (process < 0 ? AbnormalState(rawValue: 0 - process) : AbnormalState(of: process))?.text
    }
}
