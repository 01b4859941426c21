import Glibc
import Synchronization
import System

/// Where every rank stands, readable without its help: a rank that hangs, or was stopped, cannot tell.
///
/// The ranks of a node share one board in memory. Of other nodes a board knows what `ProgressChannel` brings.
/// `@unchecked Sendable`: every word of the mapping is an atomic.
package final class ProgressBoard: @unchecked Sendable {
    /// One rank's record as it was read.
    package struct Standing: Equatable, Sendable {
        package var step: Int
        package var phase: RunPhase
        /// How often the rank has advanced; 0: nothing is known of it.
        package var beats: Int
        /// When it last did, milliseconds of this node's monotonic clock.
        package var since: Int
        /// Its process, for ranks of this node; elsewhere what its node said of the process: `StallReport.AbnormalState`, negative, or 0.
        package var process: Int32

        package init(step: Int, phase: RunPhase, beats: Int, since: Int, process: Int32) {
            self.step = step
            self.phase = phase
            self.beats = beats
            self.since = since
            self.process = process
        }
    }

    /// A cache line a rank; zeros are its initial state.
    private struct Slot: ~Copyable {
        let step = Atomic<Int>(0)
        let phase = Atomic<Int>(0)
        let beats = Atomic<Int>(0)
        let since = Atomic<Int>(0)
        let process = Atomic<Int>(0)
        let padding: (Int, Int, Int) = (0, 0, 0)
    }

    private struct Header: ~Copyable {
        /// 1 + the rank that prints the reason for the end.
        let speaker = Atomic<Int>(0)
        /// Progress that other nodes told of.
        let elsewhere = Atomic<Int>(0)
        /// The patience that their phases ask for, thousandths.
        let patienceElsewhere = Atomic<Int>(0)
        let padding: (Int, Int, Int, Int, Int) = (0, 0, 0, 0, 0)
    }

    package let ranks: Int
    private let mapping: UnsafeMutableRawPointer
    private let header: UnsafeMutablePointer<Header>
    private let slots: UnsafeMutablePointer<Slot>

    /// Maps the board of a node (`open(2)`, `mmap(2)`).
    /// - Parameters:
    ///   - path: the file the ranks of a node share; nil: a board of this process alone.
    ///   - isFirst: makes the file, which must not be there; else it must.
    /// - Returns: nil where there is no such memory to be had.
    package init?(ranks: Int, path: String?, isFirst: Bool) {
        let bytes = Self.byteCount(ranks: ranks)
        var descriptor: Int32 = -1
        if let path {
            descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (isFirst ? O_CREAT | O_EXCL : 0), 0o600)
            guard descriptor >= 0 else { return nil }
            // A full /dev/shm is noticed here, not by SIGBUS at the first touch.
            guard !isFirst || posix_fallocate(descriptor, 0, off_t(bytes)) == 0 else {
                close(descriptor)
                unlink(path)
                return nil
            }
        }
        defer { if descriptor >= 0 { close(descriptor) } }
        // The name was free a moment ago, but it lies where everybody may make files.
        guard descriptor < 0 || Self.isOwn(descriptor, bytes: bytes) else { return nil }
        guard
            let mapping = mmap(
                nil, bytes, PROT_READ | PROT_WRITE, path == nil ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, descriptor, 0),
            mapping != MAP_FAILED
        else { return nil }
        self.ranks = ranks
        self.mapping = mapping
        header = mapping.bindMemory(to: Header.self, capacity: 1)
        slots = (mapping + MemoryLayout<Header>.stride).bindMemory(to: Slot.self, capacity: ranks)
    }

    deinit { munmap(mapping, Self.byteCount(ranks: ranks)) }

    /// Whether an open file is of this user, for nobody else, and as long as a board (`fstat(2)`).
    private static func isOwn(_ descriptor: Int32, bytes: Int) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_uid == geteuid()
            && status.st_mode & 0o077 == 0 && status.st_size == bytes
    }

    private static func byteCount(ranks: Int) -> Int {
        MemoryLayout<Header>.stride + ranks * MemoryLayout<Slot>.stride
    }

    /// Milliseconds of the clock that all processes of a node share.
    package static var now: Int { Int(Stopwatch.now * 1000) }

    /// Notes that `rank`, this process's own, begins `phase` of `step`.
    package func enter(_ phase: RunPhase, step: Int, rank: Int) {
        slots[rank].process.store(Int(getpid()), ordering: .relaxed)
        slots[rank].step.store(step, ordering: .relaxed)
        slots[rank].phase.store(phase.rawValue, ordering: .relaxed)
        beat(rank: rank)
    }

    /// Notes that `rank` advanced within its phase.
    package func beat(rank: Int) {
        slots[rank].since.store(Self.now, ordering: .relaxed)
        slots[rank].beats.add(1, ordering: .releasing)
    }

    /// What a message said of a rank on another node.
    package func store(_ standing: Standing, rank: Int) {
        slots[rank].process.store(Int(standing.process), ordering: .relaxed)
        slots[rank].step.store(standing.step, ordering: .relaxed)
        slots[rank].phase.store(standing.phase.rawValue, ordering: .relaxed)
        slots[rank].since.store(standing.since, ordering: .relaxed)
        slots[rank].beats.store(standing.beats, ordering: .releasing)
    }

    package subscript(rank: Int) -> Standing {
        let beats = slots[rank].beats.load(ordering: .acquiring)
        return Standing(
            step: slots[rank].step.load(ordering: .relaxed),
            phase: RunPhase(rawValue: slots[rank].phase.load(ordering: .relaxed)) ?? .starting, beats: beats,
            since: slots[rank].since.load(ordering: .relaxed),
            process: Int32(truncatingIfNeeded: slots[rank].process.load(ordering: .relaxed)))
    }

    /// A number that changes whenever any rank that is heard of advances.
    package var progress: Int {
        (0..<ranks).reduce(header.pointee.elsewhere.load(ordering: .relaxed)) {
            $0 &+ slots[$1].beats.load(ordering: .relaxed)
        }
    }

    /// The longest patience that the phases of the ranks that are heard of ask for.
    package var patience: Double {
        (0..<ranks).reduce(max(1, Double(header.pointee.patienceElsewhere.load(ordering: .relaxed)) / 1000)) { longest, rank in
            let standing = self[rank]
            return standing.beats == 0 ? longest : max(longest, standing.phase.patience)
        }
    }

    /// Sets the progress that other nodes told of, and the patience that their phases ask for.
    package func hear(_ progress: Int, patience: Double = 1) {
        header.pointee.elsewhere.store(progress, ordering: .relaxed)
        header.pointee.patienceElsewhere.store(Int((min(patience, 1e6) * 1000).rounded()), ordering: .relaxed)
    }

    /// Whether this rank, as the first of its node, is to print why the run ends.
    package func claimSpeech(rank: Int) -> Bool {
        header.pointee.speaker.compareExchange(expected: 0, desired: rank + 1, ordering: .relaxed).exchanged
    }
}
