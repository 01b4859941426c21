/// Exchanges of all with all in which all that the ranks of a node have for the ranks of another is one message, so that messages
/// grow with the nodes and not with the ranks.
///
/// For each pair of nodes one rank of each, its leader for that pair, sends and receives; the pairs are dealt among a node's ranks.
/// Every rank lays what it has for other nodes into memory that its node shares, with a table of what is there for whom and of where
/// it wants what comes. When all have, the leaders send from there, and receive into the places of those it is for. A rank takes
/// what came when its node's leaders have it all. Nothing is waited for but room: ranks take these steps whenever they look
/// (`poll`), which they do wherever they wait.
final class NodePacking {
    /// An exchange on its way. Its number counts those before it, the same on all ranks.
    final class Exchange {
        fileprivate let number: UInt32
        /// Where each rank's bytes go; empty for ranks of the own node.
        fileprivate let received: [UnsafeMutableRawBufferPointer]
        /// Where they wait, in this rank's room.
        fileprivate let places: [Int]
        /// What this rank carries for its node, once it is under way.
        fileprivate var messages: MPIMessages?
        fileprivate var isCarried = false
        /// Whether all that this rank is to receive is there, and all that it carries was sent.
        fileprivate(set) var isDone = false

        fileprivate init(number: UInt32, received: [UnsafeMutableRawBufferPointer], places: [Int]) {
            self.number = number
            self.received = received
            self.places = places
        }
    }

    /// Bytes that a rank can send to other nodes, and receive from them, in exchanges under way at once.
    let room: Int
    /// Messages that this rank sent.
    private(set) var messagesSent = 0
    private let map: NodeMap
    private let rank: Int
    private let window: PackingWindow
    private let group: MPIGroup
    /// Those that have begun and are not done, in order.
    private var exchanges: [Exchange] = []
    private var begun: UInt32 = 0
    /// How far this rank's rooms are filled; they are empty again when nothing is under way.
    private var (outEnd, inEnd) = (0, 0)

    /// - Parameters:
    ///   - group: all ranks, with a message space for this alone.
    init(rank: Int, map: NodeMap, group: MPIGroup, window: PackingWindow) {
        self.rank = rank
        self.map = map
        self.group = group
        self.window = window
        room = window.room
    }

    private var node: Int { map.node[rank] }
    private var neighbours: [Int] { map.nodes[node] }

    /// Whether a rank is of another node.
    func isFar(_ other: Int) -> Bool { map.node[other] != node }

    /// The local number of the rank of node `own` that carries what goes to node `other`, and what comes from it.
    private func leader(of own: Int, for other: Int) -> Int { (own + other) % map.nodes[own].count }

    /// Begins an exchange; waits, moving others along, only where those under way leave no room.
    /// - Parameters:
    ///   - outgoing: what this rank has for each rank; copied at once. What it has for its own node is left out.
    ///   - incoming: where what each rank has for this one is to go.
    func start(
        outgoing: [UnsafeRawBufferPointer], incoming: [UnsafeMutableRawBufferPointer]
    ) throws(CollectiveError) -> Exchange {
        let far = map.nodes.joined().filter(isFar)
        let sends = far.reduce(0) { $0 + outgoing[$1].count }
        let receives = far.reduce(0) { $0 + incoming[$1].count }
        precondition(max(sends, receives) <= room, "\(max(sends, receives)) bytes for a room of \(room)")
        let patience = group.patience()
        while true {
            try poll()
            if exchanges.isEmpty { (outEnd, inEnd) = (0, 0) }
            if exchanges.count < PackingWindow.slots && outEnd + sends <= room && inEnd + receives <= room { break }
            try group.progress()
            patience.wait()
        }
        var places = [Int](repeating: 0, count: map.node.count)
        for other in far {
            window.setEntry(
                PackingWindow.Entry(
                    outgoing: PackingWindow.Span(start: outEnd, count: outgoing[other].count),
                    incoming: PackingWindow.Span(start: inEnd, count: incoming[other].count)), for: other, exchange: begun)
            UnsafeMutableRawBufferPointer(start: window.outgoing + outEnd, count: outgoing[other].count).copyMemory(from: outgoing[other])
            places[other] = inEnd
            outEnd += outgoing[other].count
            inEnd += incoming[other].count
        }
        let none = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        let exchange = Exchange(number: begun, received: incoming.enumerated().map { isFar($0) ? $1 : none }, places: places)
        exchanges.append(exchange)
        begun &+= 1
        window.publish(.laid, begun)
        try poll()
        return exchange
    }

    /// Takes all steps that need no waiting.
    func poll() throws(CollectiveError) {
        for exchange in exchanges where exchange.messages == nil {
            guard window.reached(.laid, exchange.number &+ 1) else { break }
            exchange.messages = try carry(exchange.number)
        }
        for exchange in exchanges where !exchange.isCarried {
            guard let messages = exchange.messages, try messages.poll() else { break }
            exchange.isCarried = true
            window.publish(.carried, exchange.number &+ 1)
        }
        while let exchange = exchanges.first, window.reached(.carried, exchange.number &+ 1) {
            for (other, target) in exchange.received.enumerated() where !target.isEmpty {
                target.copyMemory(from: UnsafeRawBufferPointer(start: window.incoming + exchange.places[other], count: target.count))
            }
            exchange.isDone = true
            exchanges.removeFirst()
        }
    }

    /// Starts what this rank carries. The ranks of both nodes stand in the same order at both ends, the senders outside.
    private func carry(_ exchange: UInt32) throws(CollectiveError) -> MPIMessages {
        let messages = group.messages()
        let others = map.nodes.indices.filter { $0 != node && leader(of: node, for: $0) == window.rank }
        func peer(_ other: Int) -> Int { map.nodes[other][leader(of: other, for: node)] }
        // Sending first: see `MPIMessages`. Everyone begins with another node.
        for other in others.filter({ $0 > node }) + others.filter({ $0 < node }) {
            let blocks = neighbours.indices.flatMap { local in
                map.nodes[other].map { window.outgoing(of: local, for: $0, exchange: exchange) }
            }
            if try messages.send(blocks.filter { !$0.isEmpty }, to: peer(other)) { messagesSent += 1 }
        }
        for other in others.filter({ $0 < node }).reversed() + others.filter({ $0 > node }).reversed() {
            let blocks = map.nodes[other].flatMap { source in
                neighbours.indices.map { window.incoming(of: $0, from: source, exchange: exchange) }
            }
            try messages.receive(blocks.filter { !$0.isEmpty }, from: peer(other))
        }
        return messages
    }
}
