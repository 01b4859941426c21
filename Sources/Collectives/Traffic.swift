/// Bytes one of `size` ranks sends in a collective, by the formulas of the bandwidth-optimal ring algorithms.
///
/// The library may choose other algorithms for small messages; for the large ones that matter the ring is what it
/// sends. Source: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH", 2005.
package enum Traffic {
    /// 2 (P-1)/P of the buffer: a reduce-scatter and an allgather, rounded down.
    package static func allreduce(bytes: Int, size: Int) -> UInt64 {
        UInt64(2 * (size - 1)) * UInt64(bytes) / UInt64(size)
    }

    /// Every part but the own one.
    package static func reduceScatter(parts: [Int], rank: Int) -> UInt64 {
        UInt64(parts.reduce(0, +) - parts[rank])
    }

    /// Every part but the one of the next rank in the ring, which comes back to it last.
    package static func allgather(parts: [Int], rank: Int) -> UInt64 {
        UInt64(parts.reduce(0, +) - parts[(rank + 1) % parts.count])
    }

    /// Along a chain from the root: everything once, except by the chain's last rank.
    package static func broadcast(bytes: Int, size: Int, rank: Int, root: Int) -> UInt64 {
        (rank - root + size) % size == size - 1 ? 0 : UInt64(bytes)
    }

    /// What is not for this rank itself.
    package static func alltoall(parts: [Int], rank: Int) -> UInt64 {
        UInt64(parts.reduce(0, +) - parts[rank])
    }

    /// Each length as 8 bytes, which travel before parts whose lengths the other ranks do not know.
    static func lengths(size: Int) -> UInt64 {
        UInt64(size - 1) * 8
    }
}
