import HandData
import Testing

@Suite struct FrameCacheTests {
    static let size = PNG.Size(width: 20, height: 10)

    private func frame(background: UInt16, _ pixels: [(x: Int, y: Int, value: UInt16)]) -> [UInt16] {
        var frame = [UInt16](repeating: background, count: Self.size.width * Self.size.height)
        for pixel in pixels { frame[pixel.y * Self.size.width + pixel.x] = pixel.value }
        return frame
    }

    private func load(_ cache: FrameCache, _ index: Int) -> [UInt16]? {
        var input = [Float](repeating: -1, count: Self.size.width * Self.size.height)
        let isThere = input.withUnsafeMutableBufferPointer { cache.load(index, conditioning: .raw, into: $0) }
        #expect(isThere || input.allSatisfy { $0 == -1 })
        return isThere ? input.map { UInt16($0) } : nil
    }

    private func store(_ cache: FrameCache, _ index: Int, _ frame: [UInt16]) {
        frame.withUnsafeBufferPointer { cache.store(index, depth: $0) }
    }

    @Test func framesComeBackExactly() throws {
        let frames = [
            frame(background: 32001, []),
            frame(background: 32001, [(0, 0, 300)]),
            frame(background: 0, [(19, 9, 65535)]),
            frame(background: 32001, [(3, 2, 300), (15, 7, 0), (4, 4, 1)]),
            patternFrame(1, size: Self.size),
            (0..<200).map { UInt16($0 * 300) },
        ]
        let cache = try FrameCache(count: frames.count, width: 20, height: 10, byteLimit: 1 << 20)
        for (index, frame) in frames.enumerated() {
            #expect(load(cache, index) == nil)
            store(cache, index, frame)
        }
        for (index, frame) in frames.enumerated() { #expect(load(cache, index) == frame) }
        #expect(cache.frameCount == frames.count)
    }

    @Test func aFrameTakesItsBox() throws {
        let cache = try FrameCache(count: 2, width: 20, height: 10, byteLimit: 1 << 20)
        store(cache, 0, frame(background: 32001, [(3, 2, 300), (6, 4, 300)]))
        #expect(cache.bytesUsed == 2 * (5 + 4 * 3))
    }

    @Test func theLimitHolds() throws {
        let limit = 1000
        let cache = try FrameCache(count: 100, width: 20, height: 10, byteLimit: limit)
        for index in 0..<100 { store(cache, index, (0..<200).map { UInt16($0 + index) }) }
        #expect(cache.frameCount == 2)
        #expect(cache.bytesUsed <= limit)
        #expect(load(cache, 1) == (0..<200).map { UInt16($0 + 1) })
        #expect(load(cache, 2) == nil)

        let none = try FrameCache(count: 1, width: 20, height: 10, byteLimit: 0)
        store(none, 0, frame(background: 1, []))
        #expect(none.frameCount == 0)
    }
}
