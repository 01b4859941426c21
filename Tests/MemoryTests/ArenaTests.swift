import Memory
import System
import Testing

@Suite("Arena")
struct ArenaTests {
    @Test("every tensor is 64-byte aligned, zero, and apart from the others", arguments: [1, 7, 16, 1000, 1 << 20])
    func carving(count: Int) throws {
        let arena = try Arena(capacity: 4 * Arena.bytes(Float.self, count: count) + Arena.bytes(UInt8.self, count: count))
        let bytes = arena.carve(UInt8.self, count: count)
        let tensors = (0..<4).map { _ in arena.carve(Float.self, count: count) }
        #expect(arena.used == 4 * Arena.bytes(Float.self, count: count) + Arena.bytes(UInt8.self, count: count))
        #expect(arena.used <= arena.capacity)
        var end = UInt(bitPattern: bytes.baseAddress!) + UInt(count)
        #expect(bytes.allSatisfy { $0 == 0 })
        for (number, tensor) in tensors.enumerated() {
            let address = UInt(bitPattern: tensor.baseAddress!)
            #expect(address % UInt(Arena.alignment) == 0)
            #expect(address >= end)
            end = address + UInt(count * 4)
            #expect(tensor.count == count)
            #expect(tensor.allSatisfy { $0 == 0 })
            tensor.update(repeating: Float(number + 1))
        }
        for (number, tensor) in tensors.enumerated() { #expect(tensor.allSatisfy { $0 == Float(number + 1) }) }
    }

    @Test("bytes are rounded up to the alignment", arguments: zip([0, 1, 16, 17, 33], [0, 64, 64, 128, 192]))
    func bytes(count: Int, expected: Int) {
        #expect(Arena.bytes(Float.self, count: count) == expected)
    }

    @Test("the first tensor lies on a huge page's border")
    func hugePage() throws {
        let arena = try Arena(capacity: 100)
        #expect(UInt(bitPattern: arena.carve(Float.self, count: 1).baseAddress!) % (2 << 20) == 0)
        #expect(arena.capacity == 2 << 20)
    }

    @Test("all of the capacity can be carved and written, and touched in parallel first", arguments: [1, 3])
    func wholeCapacity(threads: Int) throws {
        let arena = try Arena(capacity: 5 << 20)
        arena.touch(team: try WorkerTeam(count: threads))
        let values = arena.carve(Float.self, count: arena.capacity / 4)
        #expect(values.allSatisfy { $0 == 0 })
        values.update(repeating: 1)
        // Late, it leaves what is there.
        arena.touch(team: try WorkerTeam(count: threads))
        #expect(values.reduce(0) { $0 + Int($1) } == values.count)
    }

    @Test("carving all there is works, and a float more stops the program")
    func overflow() async {
        await #expect(processExitsWith: .success) {
            let arena = try Arena(capacity: 2 << 20)
            _ = arena.carve(Float.self, count: (2 << 20) / 4)
        }
        await #expect(processExitsWith: .failure) {
            let arena = try Arena(capacity: 2 << 20)
            _ = arena.carve(Float.self, count: (2 << 20) / 4)
            _ = arena.carve(Float.self, count: 1)
        }
    }

    @Test("memory that cannot be had is an error with a hint")
    func noMemory() {
        let error = #expect(throws: ArenaError.self) { try Arena(capacity: 1 << 60) }
        #expect(error?.description.contains("hint:") == true)
    }
}
