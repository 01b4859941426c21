import Collectives

/// What messages of one run carry and nobody else can guess: 128 random bits, which rank 0 draws and MPI brings to the others. It
/// stands in no file, no name and no environment.
package struct RunSecret: Equatable, Sendable {
    package let first, second: UInt64

    package init(_ first: UInt64, _ second: UInt64) {
        self.first = first
        self.second = second
    }

    /// Called by all ranks together (`getrandom(2)` on rank 0).
    static func make(_ communicator: any Communicator) throws -> RunSecret {
        var words: [UInt64] = [0, 0]
        if communicator.rank == 0 {
            var generator = SystemRandomNumberGenerator()
            words = [generator.next(), generator.next()]
        }
        try words.withUnsafeMutableBytes { try communicator.broadcast($0, from: 0) }
        return RunSecret(words[0], words[1])
    }
}
