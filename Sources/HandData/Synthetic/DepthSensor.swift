import System

/// Turns an exact depth buffer into what a time-of-flight camera would report.
///
/// Per pixel: normal noise of 1.0 mm at 200 mm to 2.5 mm at 450 mm, more where the surface turns away; at silhouettes missing pixels,
/// rough outlines and "flying" pixels between two depths; a few holes a frame. Pixels without measurement are 0 or the background, 32001.
struct DepthSensor: Sendable {
    /// What ICVL frames hold where there is no hand.
    static let background: UInt16 = 32001

    /// Step between neighbours, mm, from which on they belong to different surfaces.
    private static let edgeStep: Float = 10

    let random: CounterRandom

    /// Reads `buffer` and writes the whole frame, (height, width) row-major.
    func read(_ buffer: DepthBuffer, into frame: UnsafeMutableBufferPointer<UInt16>) {
        let width = buffer.camera.width
        let height = buffer.camera.height
        frame.update(repeating: Self.background)
        guard !buffer.dirty.isEmpty else { return }
        let left = max(buffer.dirty.left - 1, 0)
        let right = min(buffer.dirty.right + 1, width)
        for v in max(buffer.dirty.top - 1, 0)..<min(buffer.dirty.bottom + 1, height) {
            let row = buffer.row(v)
            let above = buffer.row(max(v - 1, 0))
            let below = buffer.row(min(v + 1, height - 1))
            let output = frame.baseAddress! + v &* width
            for u in left..<right {
                let depth = row[u]
                let before = row[max(u &- 1, 0)]
                let after = row[min(u &+ 1, width &- 1)]
                let nearest = min(min(before, after), min(above[u], below[u]))
                // Most of a frame: background amid background.
                if depth == DepthBuffer.empty && nearest == DepthBuffer.empty { continue }
                let farthest = max(max(before, after), max(above[u], below[u]))
                output[u] = measure(
                    depth, nearest: nearest, farthest: farthest, bits: random.bits(UInt64(truncatingIfNeeded: v &* width &+ u)))
            }
        }
        punchHoles(buffer, frame)
    }

    /// One pixel: `depth` is its own, `nearest` and `farthest` are of its four neighbours, mm, `DepthBuffer.empty` for none.
    @inline(__always)
    private func measure(_ depth: Float, nearest: Float, farthest: Float, bits: UInt64) -> UInt16 {
        // The noise uses the low 32 and the high 24 bits; chances are taken from a further mix of all of them.
        let chance = Float((bits &* 0x9E37_79B9_7F4A_7C15) >> 40) * 0x1p-24
        let noise = approximateNormal(bits)
        if depth == DepthBuffer.empty {
            // Beside the hand: now and then the outline spills over.
            return chance < 0.04 ? quantised(nearest + noise * 3) : Self.background
        }
        var deviation = 0.6 + 9.5e-6 * depth * depth
        var value = depth
        if farthest - depth > Self.edgeStep || depth - nearest > Self.edgeStep {
            if farthest == DepthBuffer.empty {
                if chance < 0.11 { return Self.background }
                if chance < 0.13 { return 0 }
                // Flying pixels: light from hand and background mixed.
                if chance < 0.16 { value += 6 + 1000 * (chance - 0.13) }
            } else {
                if chance < 0.04 { return 0 }
                if chance < 0.2 {
                    let other = farthest - depth > Self.edgeStep ? farthest : nearest
                    value = interpolate(depth, other, (chance - 0.04) * 5)
                }
            }
            deviation *= 1.8
        } else {
            // A slope of one pixel's step adds as much uncertainty as it changes within a pixel.
            deviation += 0.15 * (farthest - nearest)
            if chance < 0.0008 { return 0 }
        }
        return quantised(value + noise * deviation)
    }

    /// mm as stored; measurements are never 0 nor the background.
    @inline(__always)
    private func quantised(_ depth: Float) -> UInt16 { UInt16(depth.clamped(to: 1...2000) + 0.5) }

    /// Up to four small discs without measurement, each centred on a pixel of the hand if one is found there.
    private func punchHoles(_ buffer: DepthBuffer, _ frame: UnsafeMutableBufferPointer<UInt16>) {
        let width = buffer.camera.width
        let height = buffer.camera.height
        var generator = CounterRandom(seed: random.bits(UInt64.max - 1), stream: 0).generator()
        let dirty = buffer.dirty
        let columns = min(dirty.right, width) - dirty.left
        for _ in 0..<4 {
            let u = dirty.left + Int(generator.uniform() * Float(columns))
            let v = dirty.top + Int(generator.uniform() * Float(dirty.bottom - dirty.top))
            let radius = generator.uniform(0.5...2.8) * Float(width) / 320
            let value: UInt16 = generator.chance(0.7) ? 0 : Self.background
            guard u < width, v < height, buffer.row(v)[u] != DepthBuffer.empty else { continue }
            let reach = Int(radius)
            for y in max(v - reach, 0)...min(v + reach, height - 1) {
                for x in max(u - reach, 0)...min(u + reach, width - 1) {
                    let distance = Float((x - u) * (x - u) + (y - v) * (y - v))
                    if distance <= radius * radius && buffer.row(y)[x] != DepthBuffer.empty { frame[y * width + x] = value }
                }
            }
        }
    }
}
