import Collectives
package import Glibc
import System

/// Brings what the boards of other nodes say to the node of rank 0, by UDP, and back to them that something advances.
///
/// MPI cannot carry it: a rank that hangs within a collective makes no other call, and only the main thread may call MPI. Where
/// messages do not get through (a firewall), each node watches its own ranks alone.
///
/// `@unchecked Sendable`: after `init` only the watchdog's thread uses it.
package final class ProgressChannel: @unchecked Sendable {
    private let descriptor: Int32
    private let isHub: Bool
    private let board: ProgressBoard
    /// Ranks of this node, which it tells of.
    private let own: [Int]
    /// Where rank 0 listens: the addresses of its host.
    private let hub: [sockaddr_in]
    /// Begins every message of this run; any other is dropped.
    private let secret: RunSecret
    /// What is received goes here. Longer messages are nobody's.
    private var room: [UInt8]

    /// Words of a message before its records: the secret, and what it is.
    private static let headWords = 3
    private static let recordWords = 4
    /// Records of one message; more ranks than these take several.
    private static let mostRecords = 1000
    /// Seconds that a look takes at most, whatever strangers send. Messages that are lost to that are as good as unsent ones.
    private static let longest = 0.02

    private enum Kind: UInt64 {
        /// Where the ranks of a node stand, to the node of rank 0.
        case standings = 1
        /// The answer: that something advances, and how patient to be.
        case answer = 2
    }

    /// Called by all ranks together.
    /// - Returns: nil on ranks that need none, and where no socket is to be had.
    static func make(board: ProgressBoard, communicator: any Communicator, secret: RunSecret) throws -> ProgressChannel? {
        let place = communicator.place
        guard place.nodes > 1 else { return nil }
        let isHub = communicator.rank == 0
        let descriptor = place.localRank == 0 ? socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) : -1
        var announced = ""
        if isHub, descriptor >= 0, let port = bindAny(descriptor) {
            announced = ([String(port)] + ownAddresses()).joined(separator: " ")
        }
        let words = try communicator.broadcast(announced).split(separator: " ").map(String.init)
        let nodes = try communicator.allgather(Array(String(place.node).utf8)).map { String(decoding: $0, as: UTF8.self) }
        guard descriptor >= 0 else { return nil }
        guard let port = words.first.flatMap(UInt16.init) else {
            close(descriptor)
            return nil
        }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return ProgressChannel(
            descriptor: descriptor, isHub: isHub, board: board,
            own: nodes.indices.filter { nodes[$0] == String(place.node) },
            hub: words.dropFirst().compactMap { address($0, port: port) }, secret: secret)
    }

    /// A channel over a socket of its own.
    /// - Parameters:
    ///   - descriptor: does not block; closed with the channel.
    ///   - own: the ranks of this node.
    ///   - hub: where rank 0 listens; empty there.
    package init(
        descriptor: Int32, isHub: Bool, board: ProgressBoard, own: [Int], hub: [sockaddr_in], secret: RunSecret
    ) {
        self.descriptor = descriptor
        self.isHub = isHub
        self.board = board
        self.own = own
        self.hub = hub
        self.secret = secret
        room = [UInt8](repeating: 0, count: 8 * (Self.headWords + Self.recordWords * min(board.ranks, Self.mostRecords)))
    }

    deinit { close(descriptor) }

    /// Tells, and takes what has come; never waits.
    package func exchange() {
        if !isHub { tell() }
        // Bounds, so that no flood of messages can keep the watchdog here.
        let end = Stopwatch.now + Self.longest
        var taken = 0
        while taken < 2 * max(16, board.ranks), Stopwatch.now < end {
            var sender = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = withUnsafeMutablePointer(to: &sender) { sender in
                sender.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    // The true length, also of what does not fit.
                    recvfrom(descriptor, &room, room.count, Int32(MSG_TRUNC), $0, &length)
                }
            }
            guard count >= 0 else { return }
            if take(count, from: sender) { taken += 1 }
        }
    }

    private func tell() {
        for start in stride(from: 0, to: own.count, by: Self.mostRecords) {
            var message = [secret.first, secret.second, Kind.standings.rawValue]
            for rank in own[start..<min(start + Self.mostRecords, own.count)] {
                let standing = board[rank]
                // A stopped rank cannot tell, and the node of rank 0 cannot see it.
                let state = StallReport.AbnormalState(of: standing.process)?.rawValue ?? 0
                message += [
                    UInt64(rank) << 32 | UInt64(state) << 16 | UInt64(standing.phase.rawValue), UInt64(standing.step), UInt64(standing.beats),
                    UInt64(max(0, ProgressBoard.now - standing.since)),
                ]
            }
            for address in hub { send(message, to: address) }
        }
    }

    /// Takes the message of `count` bytes in `room`: by its length first, then by its secret; only then is anything read.
    /// - Returns: whether it is one of this run.
    private func take(_ count: Int, from sender: sockaddr_in) -> Bool {
        let records = count / 8 - Self.headWords
        guard count <= room.count, count % 8 == 0, records > 0, word(0) == secret.first, word(1) == secret.second else { return false }
        switch Kind(rawValue: word(2)) {
        case .standings where isHub && records % Self.recordWords == 0:
            for start in stride(from: 0, to: records, by: Self.recordWords) {
                takeRecord((0..<Self.recordWords).map { word(Self.headWords + start + $0) })
            }
            send(
                [
                    secret.first, secret.second, Kind.answer.rawValue, UInt64(bitPattern: Int64(board.progress)),
                    board.patience.bitPattern,
                ], to: sender)
        case .answer where !isHub && records == 2:
            let patience = Double(bitPattern: word(4))
            board.hear(Int(Int64(bitPattern: word(3))), patience: patience >= 1 ? patience : 1)
        default: return false
        }
        return true
    }

    /// A word of `room`, little-endian.
    private func word(_ index: Int) -> UInt64 {
        room[8 * index..<8 * index + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }

    private func takeRecord(_ words: [UInt64]) {
        let rank = Int(words[0] >> 32)
        guard rank < board.ranks, !own.contains(rank), let phase = RunPhase(rawValue: Int(words[0] & 0xFFFF)),
            words[1] < 1 << 62, words[2] < 1 << 62, words[3] < 1 << 40
        else { return }
        board.store(
            ProgressBoard.Standing(
                step: Int(words[1]), phase: phase, beats: Int(words[2]), since: ProgressBoard.now - Int(words[3]),
                process: -Int32(words[0] >> 16 & 0xFFFF)),
            rank: rank)
    }

    /// Lost messages are as good as unsent ones: the next comes within a second.
    private func send(_ words: [UInt64], to address: sockaddr_in) {
        let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
        var address = address
        withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT), $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    // MARK: Addresses

    /// `bind(2)` to any port; nil where that fails.
    package static func bindAny(_ descriptor: Int32) -> UInt16? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 ? getsockname(descriptor, address, &length) : -1
            }
        }
        return status == 0 ? UInt16(bigEndian: address.sin_port) : nil
    }

    /// An address as `inet_pton(3)` reads it; nil for anything else.
    package static func address(_ text: String, port: UInt16) -> sockaddr_in? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        return inet_pton(AF_INET, text, &address.sin_addr) == 1 ? address : nil
    }

    /// IPv4 addresses of this host, the loopback's left out (`getifaddrs(3)`).
    private static func ownAddresses() -> [String] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var result: [String] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET),
                entry.pointee.ifa_flags & UInt32(IFF_LOOPBACK) == 0, entry.pointee.ifa_flags & UInt32(IFF_UP) != 0
            else { continue }
            var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
            address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                _ = inet_ntop(AF_INET, &$0.pointee.sin_addr, &text, socklen_t(INET_ADDRSTRLEN))
            }
            result.append(String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
        }
        return result
    }
}
