import CLinux

extension TiledDense {
    /// Copies x[:, rows] into (panels of six rows, b, 6), so that the place of x is free for its gradient.
    /// - Parameter packed: `scratchCount(samples:rows:)` floats of this thread.
    package func packInputs(_ x: UnsafePointer<Float>, rows: Range<Int>, into packed: UnsafeMutablePointer<Float>) {
        var target = packed
        var row = rows.lowerBound
        while row < rows.upperBound {
            let count = min(Self.panel, rows.upperBound &- row)
            for sample in 0..<samples {
                let source = x + (sample &* inputs &+ row)
                if count == Self.panel {
                    (target[0], target[1], target[2]) = (source[0], source[1], source[2])
                    (target[3], target[4], target[5]) = (source[3], source[4], source[5])
                } else {
                    for index in 0..<Self.panel { target[index] = index < count ? source[index] : 0 }
                }
                target += Self.panel
            }
            row &+= Self.panel
        }
    }

    /// Gradient of the rows `rows` of w: gradient = x[:, rows]^T · dy, each sum in order of the samples.
    /// - Parameters:
    ///   - packedX: from `packInputs`. packedDY: from `pack(dy:into:)`.
    ///   - gradient: overwritten, (rows, n).
    package func weightGradient(
        packedX: UnsafePointer<Float>, packedDY: UnsafePointer<Float>, rows: Int,
        gradient: UnsafeMutablePointer<Float>
    ) {
        let step = outputs &* 4
        var row = 0
        while row < rows {
            let isWhole = row &+ Self.panel <= rows
            let x = packedX + row &* samples
            for strip in 0..<outputs / Self.strip {
                let block = weightBlock(x, packedDY + strip &* samples &* Self.strip)
                let target = UnsafeMutableRawPointer(gradient + (row &* outputs &+ strip &* Self.strip))
                if isWhole { block.store(target, stride: step) } else { store(block, rows - row, target) }
            }
            row &+= Self.panel
        }
    }

    /// The same, with Adam's update of these rows at once, each register block's gradient never leaving the level-1 cache;
    /// the lines of w, m and v are asked for while the products run.
    /// - Parameters:
    ///   - immediate: weights and moments of the whole layer, of which `rows` are updated.
    ///   - scratch: `blockCount` floats of this thread.
    package func weightGradient(
        packedX: UnsafePointer<Float>, packedDY: UnsafePointer<Float>, rows: Range<Int>, immediate: ImmediateUpdate,
        block scratch: UnsafeMutablePointer<Float>
    ) {
        let start = rows.lowerBound &* outputs
        let (weights, firstMoment) = (immediate.weights + start, immediate.firstMoment + start)
        let (secondMoment, update) = (immediate.secondMoment + start, immediate.update)
        let strips = outputs / Self.strip
        var row = 0
        while row < rows.count {
            let count = min(Self.panel, rows.count &- row)
            let x = packedX + row &* samples
            for strip in 0..<strips {
                let offset = row &* outputs &+ strip &* Self.strip
                // Two strips ahead: a few hundred cycles, the latency of memory.
                let ahead = offset &+ 2 &* Self.strip
                for line in 0..<count {
                    let place = ahead &+ line &* outputs
                    dtrain_prefetch(weights + place)
                    dtrain_prefetch(firstMoment + place)
                    dtrain_prefetch(secondMoment + place)
                }
                let block = weightBlock(x, packedDY + strip &* samples &* Self.strip)
                block.store(UnsafeMutableRawPointer(scratch), stride: Self.strip &* 4)
                for line in 0..<count {
                    let place = offset &+ line &* outputs
                    update.applyStrip(
                        weights: weights + place, firstMoment: firstMoment + place, secondMoment: secondMoment + place,
                        gradient: scratch + line &* Self.strip)
                }
            }
            row &+= Self.panel
        }
    }

    /// Six rows by sixteen columns, over all samples.
    @inline(__always)
    private func weightBlock(_ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>) -> RegisterBlock {
        var block = RegisterBlock()
        var x = x
        var dy = UnsafeRawPointer(dy)
        for _ in 0..<samples {
            block.accumulate(x, dy)
            x += 6
            dy += 64
        }
        return block
    }

    /// The first `count` rows of a block.
    private func store(_ block: RegisterBlock, _ count: Int, _ target: UnsafeMutableRawPointer) {
        let rows = [
            (block.a0, block.a1), (block.b0, block.b1), (block.c0, block.c1), (block.d0, block.d1), (block.e0, block.e1),
            (block.f0, block.f1),
        ]
        for row in 0..<count {
            let line = target + row &* outputs &* 4
            line.storeBytes(of: rows[row].0, as: SIMD8<Float>.self)
            line.storeBytes(of: rows[row].1, toByteOffset: 32, as: SIMD8<Float>.self)
        }
    }
}
