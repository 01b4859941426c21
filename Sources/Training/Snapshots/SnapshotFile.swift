import Checkpoints
import Glibc
import Synchronization

/// One rank's file of snapshots in its node's memory file system: two slots, which take turns, so that one is whole at any moment.
///
/// A slot is whole or absent: its seal is broken before the first byte changes and set after the last. What a killed process has
/// stored stays, in the order in which it stored it, as the pages are the kernel's. A node that loses power has none of it.
///
/// Layout, in words of 8 bytes, little-endian: a page with magic, signature of the tensors, number of pieces and floats of a slot;
/// the pieces, four words each; then the slots, from a page on. A slot is a page (seal, the step + 1, or 0; bytes of the state), the
/// state as a sealed `state.json` without files, in room of its own, and the floats, piece after piece.
final class SnapshotFile {
    static let slots = 2
    private static let magic = 0x31_70_61_6E_73_74_64  // "dtsnap1"
    private static let page = 4096
    /// Room for the state's text.
    static let stateBytes = 1 << 20
    /// More pieces than any run has.
    private static let mostPieces = 1 << 20

    let pieces: [SnapshotPiece]
    let path: String
    private let base: UnsafeMutableRawPointer
    private let bytes: Int
    private let slotBytes: Int
    private let firstSlot: Int

    private init(path: String, pieces: [SnapshotPiece], base: UnsafeMutableRawPointer, bytes: Int) {
        (self.path, self.pieces, self.base, self.bytes) = (path, pieces, base, bytes)
        (firstSlot, slotBytes) = Self.layout(pieces)
    }

    deinit { munmap(base, bytes) }

    private static func layout(_ pieces: [SnapshotPiece]) -> (firstSlot: Int, slotBytes: Int) {
        func pages(_ bytes: Int) -> Int { (bytes + page - 1) / page * page }
        return (page + pages(pieces.count * 32), page + stateBytes + pages(pieces.reduce(0) { $0 + $1.elements.count } * 4))
    }

    /// Bytes of a file of these pieces.
    static func byteCount(_ pieces: [SnapshotPiece]) -> Int {
        let (firstSlot, slotBytes) = layout(pieces)
        return firstSlot + slots * slotBytes
    }

    // MARK: Writing

    /// Makes the file and takes its memory (`posix_fallocate(3)`), so that there is no lack of it later.
    /// - Returns: nil, and no file, where there is no room.
    static func create(_ path: String, pieces: [SnapshotPiece], signature: UInt64) -> SnapshotFile? {
        let bytes = byteCount(pieces)
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard posix_fallocate(descriptor, 0, off_t(bytes)) == 0,
            let base = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, 0), base != MAP_FAILED
        else {
            unlink(path)
            return nil
        }
        let file = SnapshotFile(path: path, pieces: pieces, base: base, bytes: bytes)
        let words = [magic, Int(bitPattern: UInt(signature)), pieces.count] + [Int](repeating: 0, count: page / 8 - 3)
        for (index, word) in (words + pieces.flatMap(\.numbers)).enumerated() { base.storeBytes(of: word, toByteOffset: index * 8, as: Int.self) }
        return file
    }

    private func seal(_ slot: Int) -> UnsafeMutablePointer<Atomic<Int>> {
        (base + firstSlot + slot * slotBytes).assumingMemoryBound(to: Atomic<Int>.self)
    }

    /// The floats of a slot.
    func floats(_ slot: Int) -> UnsafeMutablePointer<Float> {
        (base + firstSlot + slot * slotBytes + Self.page + Self.stateBytes).assumingMemoryBound(to: Float.self)
    }

    /// How many floats a slot has.
    var count: Int { pieces.reduce(0) { $0 + $1.elements.count } }

    /// Where a piece begins among the floats of a slot.
    func offset(of piece: Int) -> Int { pieces[..<piece].reduce(0) { $0 + $1.elements.count } }

    /// Takes a slot's snapshot away; its floats may change after that.
    func breakSeal(_ slot: Int) { seal(slot).pointee.store(0, ordering: .sequentiallyConsistent) }

    /// Makes the slot a snapshot of `step`, when all floats are there.
    /// - Parameter state: at most `stateBytes` long.
    func seal(_ slot: Int, step: Int, state: [UInt8]) {
        let start = base + firstSlot + slot * slotBytes
        start.storeBytes(of: state.count, toByteOffset: 8, as: Int.self)
        state.withUnsafeBytes { (start + Self.page).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        seal(slot).pointee.store(step + 1, ordering: .sequentiallyConsistent)
    }

    // MARK: Reading

    /// Opens a file that another process has left.
    /// - Returns: nil for what is not this user's alone, or no file of such tensors.
    static func open(existing path: String, signature: UInt64) -> SnapshotFile? {
        let descriptor = Glibc.open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(), status.st_mode & 0o077 == 0
        else { return nil }
        var head = [Int](repeating: 0, count: 3)
        guard pread(descriptor, &head, 24, 0) == 24, head[0] == magic, UInt64(UInt(bitPattern: head[1])) == signature,
            1...mostPieces ~= head[2]
        else { return nil }
        var numbers = [Int](repeating: 0, count: 4 * head[2])
        guard pread(descriptor, &numbers, 32 * head[2], off_t(page)) == 32 * head[2] else { return nil }
        let pieces = (0..<head[2]).compactMap { SnapshotPiece(numbers[4 * $0..<4 * $0 + 4]) }
        // Values beyond any tensor's end would overflow the sums.
        guard pieces.count == head[2], pieces.allSatisfy({ $0.elements.upperBound < 1 << 40 }), byteCount(pieces) == Int(status.st_size),
            let base = mmap(nil, Int(status.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), base != MAP_FAILED
        else { return nil }
        return SnapshotFile(path: path, pieces: pieces, base: base, bytes: Int(status.st_size))
    }

    /// The step of a slot; nil where it has none.
    func step(_ slot: Int) -> Int? {
        let value = seal(slot).pointee.load(ordering: .sequentiallyConsistent)
        return value > 0 ? value - 1 : nil
    }

    /// The text of a slot's state.
    func state(_ slot: Int) -> [UInt8] {
        let start = base + firstSlot + slot * slotBytes
        let count = start.load(fromByteOffset: 8, as: Int.self)
        guard 0...Self.stateBytes ~= count else { return [] }
        return Array(UnsafeRawBufferPointer(start: start + Self.page, count: count))
    }
}
