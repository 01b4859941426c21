import Dispatch
import Foundation
import HandData
import Testing

@Suite("Synthetic hands: frames")
struct SyntheticRenderTests {
    @Test("the same bytes in any order, with and without scratch memory")
    func order() {
        let hands = SyntheticHands(seed: 5)
        let forward = (0..<12).map { hands.frame($0) }
        let scratch = SyntheticHands.Scratch(hands)
        for index in (0..<12).reversed() {
            #expect(hands.frame(UInt64(index), scratch: scratch) == forward[index], "frame \(index)")
        }
    }

    @Test("the same bytes on any thread")
    func threads() {
        let hands = SyntheticHands(seed: 6, width: 160, height: 120)
        let expected = (0..<32).map { hash([hands.frame($0)]) }
        let found = Found(count: 32)
        DispatchQueue.concurrentPerform(iterations: 32) { index in
            found.set(index, hash([hands.frame(UInt64(index))]))
        }
        #expect(found.values == expected)
    }

    @Test("other seeds and indices give other frames")
    func variety() {
        let hashes = Set(
            (0..<8).flatMap { seed in (0..<8).map { hash([SyntheticHands(seed: seed, width: 64, height: 48).frame($0)]) } })
        #expect(hashes.count == 64)
    }

    /// Frames 0 ..< 24 of seed 1 as rendered when the generator was settled (debug and release give the same).
    /// A change of the generator changes what every run without `--data` trains on: change this value knowingly.
    /// Where a change to the renderer alters these, it raises `SyntheticHands.version` too.
    @Test("the bytes have not changed")
    func golden() {
        #expect(SyntheticHands.version == 1)
        #expect(hash((0..<24).map { SyntheticHands(seed: 1).frame($0) }) == 2_854_800_149_913_582_467)
        #expect(hash((0..<24).map { SyntheticHands(seed: 1, width: 64, height: 48).frame($0) }) == 6_862_642_993_132_382_572)
    }

    @Test("pixels are background, holes or surface near the hand")
    func pixels() {
        let hands = SyntheticHands(seed: 2)
        var holes = 0
        for index in 0..<40 {
            let frame = hands.frame(UInt64(index))
            let depths = (0..<16).map { frame.joint($0).z }
            var surface = 0
            for depth in frame.depth where depth != SyntheticHands.background {
                if depth == 0 {
                    holes += 1
                } else {
                    surface += 1
                    #expect(Float(depth) > depths.min()! - 40 && Float(depth) < depths.max()! + 200)
                }
            }
            #expect(surface > 1500 && surface < 320 * 240 / 2, "frame \(index): \(surface) pixels")
            #expect(frame.depth[0] == 32001)
        }
        #expect(holes > 40)
    }

    @Test("the forearm reaches below the palm")
    func forearm() {
        let hands = SyntheticHands(seed: 3)
        for index in 0..<60 {
            let frame = hands.frame(UInt64(index))
            let palm = frame.joint(0)
            let lowest = frame.depth.lastIndex(where: isSurface)! / 320
            // The wrist lies about 40 mm below the palm joint; leaning hands lift it.
            #expect(Float(lowest) > palm.y + 25 * 241.42 / palm.z, "frame \(index)")
        }
    }

    @Test("noise of flat flesh is that of a time-of-flight sensor: between 0.7 and 4 mm")
    func noise() {
        let hands = SyntheticHands(seed: 4)
        var sum = 0.0
        var count = 0
        for index in 0..<40 {
            let frame = hands.frame(UInt64(index))
            let palm = frame.joint(0)
            for v in Int(palm.y) - 4...Int(palm.y) + 4 {
                for u in Int(palm.x) - 4...Int(palm.x) + 4 {
                    let values = (-1...1).map { frame.depth[v * 320 + u + $0] }
                    guard values.allSatisfy(isSurface) else { continue }
                    // Second difference of white noise: variance 6 sigma2; a slope does not count, a step does.
                    let second = Double(values[0]) - 2 * Double(values[1]) + Double(values[2])
                    if abs(second) < 25 {
                        sum += second * second
                        count += 1
                    }
                }
            }
        }
        let deviation = (sum / Double(count) / 6).squareRoot()
        #expect(count > 1000)
        #expect(deviation > 0.7 && deviation < 4, "\(deviation) mm")
    }

    @Test("another size shows the same hand", arguments: [(160, 120), (64, 48), (32, 24), (100, 75), (640, 480)])
    func size(width: Int, height: Int) {
        let full = SyntheticHands(seed: 9)
        let other = SyntheticHands(seed: 9, width: width, height: height)
        let scale = Float(width) / 320
        for index in 0..<10 {
            let a = full.frame(UInt64(index))
            let b = other.frame(UInt64(index))
            for joint in 0..<16 {
                let (p, q) = (a.joint(joint), b.joint(joint))
                #expect(abs(p.x * scale - q.x) < 0.01 && abs(p.y * Float(height) / 240 - q.y) < 0.01 && p.z == q.z)
            }
            let areaA = Float(a.depth.count(where: isSurface)) * scale * Float(height) / 240
            let areaB = Float(b.depth.count(where: isSurface))
            #expect(abs(areaA - areaB) < 0.12 * areaA + 12, "frame \(index): \(areaA) and \(areaB) pixels")
        }
    }

    #if !DEBUG
        /// The issue asks for 100; about 2200 were measured.
        @Test("at least 300 frames a second a core")
        func speed() {
            let hands = SyntheticHands(seed: 1)
            let scratch = SyntheticHands.Scratch(hands)
            var depth = [UInt16](repeating: 0, count: 320 * 240)
            var label = [Float](repeating: 0, count: 48)
            var best = 0.0
            for _ in 0..<5 {
                let start = DispatchTime.now().uptimeNanoseconds
                for index in 0..<60 {
                    depth.withUnsafeMutableBufferPointer { depth in
                        label.withUnsafeMutableBufferPointer { label in
                            hands.render(index: UInt64(index), depth: depth, label: label, scratch: scratch)
                        }
                    }
                }
                best = max(best, 60e9 / Double(DispatchTime.now().uptimeNanoseconds - start))
            }
            #expect(best >= 300, "\(best) frames/s")
        }
    #endif
}

/// Values set from many threads.
private final class Found: @unchecked Sendable {  // every access holds the lock
    private let lock = NSLock()
    private var stored: [UInt64]

    init(count: Int) { stored = [UInt64](repeating: 0, count: count) }

    var values: [UInt64] { lock.withLock { stored } }

    func set(_ index: Int, _ value: UInt64) { lock.withLock { stored[index] = value } }
}
