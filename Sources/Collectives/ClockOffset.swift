import System

extension Communicator {
    /// What this rank's clock shows beyond rank 0's, s; all ranks call.
    ///
    /// Rank 0 asks each of the others for its time, many times over, and believes the answer that came soonest: it was given half way
    /// between question and answer, as in Cristian's algorithm (1989), to half of that time at worst. Ranks on rank 0's node share its clock.
    package func clockOffset(rounds: Int = 32, clock: () -> Double = { Stopwatch.now }) throws(CollectiveError) -> Double {
        let nodes = try allgather(withUnsafeBytes(of: Int64(place.node)) { Array($0) })
        var own = 0.0
        for other in 1..<max(1, size) where nodes[other] != nodes[0] {
            if rank == 0 {
                var best = (seconds: Double.infinity, offset: 0.0)
                for _ in 0..<rounds {
                    let asked = clock()
                    try send(number: asked, to: other)
                    let answer = try receiveNumber(from: other)
                    let seconds = clock() - asked
                    if seconds < best.seconds { best = (seconds, answer - asked - seconds / 2) }
                }
                try send(number: best.offset, to: other)
            } else if rank == other {
                for _ in 0..<rounds {
                    _ = try receiveNumber(from: 0)
                    try send(number: clock(), to: 0)
                }
                own = try receiveNumber(from: 0)
            }
        }
        return own
    }

    private func send(number: Double, to other: Int) throws(CollectiveError) {
        var number = number
        try withUnsafeMutablePointer(to: &number) { (pointer) throws(CollectiveError) in
            try send(UnsafeRawBufferPointer(start: pointer, count: 8), to: other)
        }
    }

    private func receiveNumber(from other: Int) throws(CollectiveError) -> Double {
        var number = 0.0
        try withUnsafeMutablePointer(to: &number) { (pointer) throws(CollectiveError) in
            try receive(UnsafeMutableRawBufferPointer(start: pointer, count: 8), from: other)
        }
        return number
    }
}
