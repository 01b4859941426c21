import Collectives
import Exchange
import Memory
import Optimizers
import System
import Testing
import TestSupport

/// Parts of a checkpoint on their way to rank 0 beside other work.
struct PartMessagesTests {
    /// More than two messages of 2^20 floats from each of two ranks, and rows that no number of ranks divides.
    private static let table = ParameterTable([
        ParameterDeclaration("small", [3, 5]), ParameterDeclaration("large", [3001, 1001], isTiled: true),
        ParameterDeclaration("bias", [7]),
    ])

    private static func parts(ranks: Int) -> TensorParts {
        TensorParts(
            ShardedExchange.ownership(table: table, ranks: ranks, bucketCount: 400 * 1001), ranks: ranks, states: 2, hasAverage: true)
    }

    /// A value that tells the rank, and the place in its part.
    private static func value(_ rank: Int, _ index: Int) -> Float { Float(rank * 4_000_000 + index % 4_000_000) }

    /// An owner, from the first question to the last.
    private static func serve(_ communicator: any Communicator, _ parts: TensorParts) throws {
        let rank = communicator.rank
        let values = (0..<parts.counts[rank]).map { value(rank, $0) }
        try values.withUnsafeBufferPointer {
            let sender = PartSender($0, ranks: communicator.size, messages: try communicator.sideMessages())
            try sender.begin()
            while !sender.isIdle { try sender.poll() }
        }
    }

    /// Rank 0: its main thread polls while another runs `take`.
    private static func receive(
        _ communicator: any Communicator, _ parts: TensorParts, _ take: @escaping @Sendable (PartReceiver) -> Void
    ) throws {
        let receiver = try PartReceiver(counts: parts.counts, messages: try communicator.sideMessages())
        receiver.begin()
        let flag = Flag()
        let thread = try ThreadGroup(count: 1) { _ in
            take(receiver)
            flag.set()
        }
        while !receiver.isIdle {
            if flag.isSet { receiver.end() }
            try receiver.poll()
        }
        thread.join()
    }

    private final class Flag: @unchecked Sendable {
        private let condition = ConditionLock()
        private var value = false
        var isSet: Bool { condition.withLock { value } }
        func set() { condition.withLock { value = true } }
    }

    /// Takes everything in the files' order; what came wrong.
    private static func takeAll(_ parts: TensorParts, _ receiver: PartReceiver, until last: Int = .max) -> Int {
        var (wrong, sofar) = (0, 0)
        for number in parts.tensors.indices {
            for run in parts.runs(ofTensor: number) where run.rank > 0 {
                var taken = 0
                while taken < run.count {
                    guard sofar < last, let values = receiver.next(min(100_000, run.count - taken), of: run.rank) else { return wrong }
                    for (offset, value) in values.enumerated() where value != Self.value(run.rank, run.start + taken + offset) { wrong += 1 }
                    receiver.advance(values.count, of: run.rank)
                    (taken, sofar) = (taken + values.count, sofar + values.count)
                }
            }
        }
        return wrong
    }

    @Test(arguments: [2, 3, 5]) func everyValueComesInTheOrderOfTheFiles(ranks: Int) throws {
        let parts = Self.parts(ranks: ranks)
        #expect(parts.count == 4 * Self.table.parameters.reduce(0) { $0 + $1.count })
        _ = try Simulated.run(ranks: ranks) { communicator in
            guard communicator.rank == 0 else { return try Self.serve(communicator, parts) }
            try Self.receive(communicator, parts) { #expect(Self.takeAll(parts, $0) == 0) }
        }
    }

    /// As after a full disk: what is under way belongs to the try before.
    @Test func aTryThatFailsBeginsAgain() throws {
        let parts = Self.parts(ranks: 3)
        _ = try Simulated.run(ranks: 3) { communicator in
            guard communicator.rank == 0 else { return try Self.serve(communicator, parts) }
            try Self.receive(communicator, parts) { receiver in
                for last in [1, 1_500_000] {
                    #expect(Self.takeAll(parts, receiver, until: last) == 0)
                    receiver.restart()
                }
                #expect(Self.takeAll(parts, receiver) == 0)
            }
        }
    }

    /// All tries failed: the owners must be let go with what is under way.
    @Test func aCheckpointThatIsGivenUpLetsTheOwnersGo() throws {
        let parts = Self.parts(ranks: 3)
        _ = try Simulated.run(ranks: 3) { communicator in
            guard communicator.rank == 0 else { return try Self.serve(communicator, parts) }
            try Self.receive(communicator, parts) { _ = Self.takeAll(parts, $0, until: 1) }
        }
    }

    @Test func aThreadThatWaitsIsLetGoAtTheEnd() throws {
        let parts = Self.parts(ranks: 2)
        _ = try Simulated.run(ranks: 2) { communicator in
            guard communicator.rank == 0 else { return }
            let receiver = try PartReceiver(counts: parts.counts, messages: try communicator.sideMessages())
            let thread = try ThreadGroup(count: 1) { _ in #expect(receiver.next(1, of: 1) == nil) }
            receiver.close()
            thread.join()
        }
    }

    /// A rank's part, in runs, is what its arenas hold, each value once.
    @Test func partsAreEveryValueOnce() {
        let parts = Self.parts(ranks: 4)
        for rank in 0..<4 {
            let runs = parts.runs(ofRank: rank, most: 1000)
            var next = 0
            for run in runs {
                #expect(run.start == next && run.count > 0 && run.count <= 1000)
                next += run.count
            }
            #expect(next == parts.counts[rank])
        }
    }
}
