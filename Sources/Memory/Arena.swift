import CLinux
import Glibc
package import System

/// Why memory could not be had.
package struct ArenaError: Error, CustomStringConvertible {
    package let description: String
}

/// One allocation that holds all tensors of a kind: anonymous pages, 2 MiB aligned, huge pages asked for.
///
/// Tensors are carved from it in order and live as long as it does. Pages are zero until written.
/// `@unchecked Sendable`: after the carving, which one thread does, the arena itself is constant; whoever writes
/// through the pointers owns disjoint ranges.
package final class Arena: @unchecked Sendable {
    /// Alignment of every tensor, bytes: a cache line, and an AVX-512 register.
    package static let alignment = 64
    private static let hugePage = 2 << 20

    private let mapping: UnsafeMutableRawPointer
    private let mappedBytes: Int
    private let base: UnsafeMutableRawPointer
    /// Bytes that tensors can take.
    package let capacity: Int
    /// Bytes that tensors have taken.
    package private(set) var used = 0

    /// Maps `capacity` bytes (mmap, madvise).
    /// - Throws: `ArenaError` when the system has no address space or memory for it.
    package init(capacity: Int) throws(ArenaError) {
        let rounded = (max(capacity, 1) + Self.hugePage - 1) / Self.hugePage * Self.hugePage
        mappedBytes = rounded + Self.hugePage
        guard
            let mapping = mmap(
                nil, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            mapping != MAP_FAILED
        else {
            throw ArenaError(
                description: "no memory: mapping \(rounded >> 20) MiB failed (\(String(cString: strerror(errno)))); "
                    + "hint: fewer ranks on this node, a smaller batch, or --preset shallow")
        }
        self.mapping = mapping
        let address = UInt(bitPattern: mapping)
        let aligned = (address + UInt(Self.hugePage) - 1) / UInt(Self.hugePage) * UInt(Self.hugePage)
        base = mapping + Int(aligned - address)
        self.capacity = rounded
        madvise(base, rounded, MADV_HUGEPAGE)
    }

    deinit { munmap(mapping, mappedBytes) }

    /// Bytes that `count` elements of a type take in an arena, padding included.
    package static func bytes<Element>(_ type: Element.Type, count: Int) -> Int {
        (count * MemoryLayout<Element>.stride + alignment - 1) / alignment * alignment
    }

    /// Carves the next tensor. The sum of all `bytes(_:count:)` must have been asked for at `init`.
    package func carve<Element: BitwiseCopyable>(_ type: Element.Type, count: Int) -> UnsafeMutableBufferPointer<Element> {
        let needed = Self.bytes(type, count: count)
        precondition(used + needed <= capacity, "arena too small: \(used) + \(needed) of \(capacity) bytes")
        defer { used += needed }
        let pointer = (base + used).bindMemory(to: Element.self, capacity: count)
        return UnsafeMutableBufferPointer(start: pointer, count: count)
    }

    /// Pieces that `populate` takes.
    package var pieces: Int { capacity / Self.hugePage }

    /// Makes a piece's pages present and leaves what they hold, beside threads that use them: madvise MADV_POPULATE_WRITE, which
    /// Linux has since 5.14; before, they come with their first use.
    package func populate(_ piece: Int) {
        let populateWrite: Int32 = 23
        madvise(base + piece * Self.hugePage, Self.hugePage, populateWrite)
    }

    /// Writes a byte of every page back to its place with all threads of `team`, so that no step meets a fresh page; what tensors
    /// hold stays. Nobody else may write meanwhile.
    package func touch(team: WorkerTeam) {
        let step = 4096
        let pages = capacity / step
        team.forEach(pages / 512) { block, _ in
            for page in block * 512..<(block + 1) * 512 {
                dtrain_touch(self.base + page * step)
            }
        }
    }
}
