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

    /// The same, with Adam's update of these rows at once: each register block's gradient never leaves the level-1 cache.
    ///
    /// The update of a block is spread among the products of the next, because divisions and square roots have a unit of
    /// their own that would idle otherwise; the lines of w, m and v are asked for ahead.
    /// - Parameters:
    ///   - immediate: weights and moments of the whole layer, of which `rows` are updated.
    ///   - scratch: `blockCount` floats of this thread.
    package func weightGradient(
        packedX: UnsafePointer<Float>, packedDY: UnsafePointer<Float>, rows: Range<Int>, immediate: ImmediateUpdate,
        block scratch: UnsafeMutablePointer<Float>
    ) {
        let strips = outputs / Self.strip
        let wholeRows = rows.count / Self.panel &* Self.panel
        var pending = PendingUpdate(immediate, row: outputs, scratch: scratch)
        var row = 0
        while row < wholeRows {
            let x = packedX + row &* samples
            for strip in 0..<strips {
                let offset = (rows.lowerBound &+ row) &* outputs &+ strip &* Self.strip
                pending.prefetch(offset &+ 2 &* Self.strip)
                let block = weightBlock(x, packedDY + strip &* samples &* Self.strip, pending)
                block.store(UnsafeMutableRawPointer(scratch), stride: Self.strip &* 4)
                pending.offset = offset
            }
            row &+= Self.panel
        }
        pending.finish()
        guard wholeRows < rows.count else { return }
        let x = packedX + wholeRows &* samples
        for strip in 0..<strips {
            let block = weightBlock(x, packedDY + strip &* samples &* Self.strip)
            block.store(UnsafeMutableRawPointer(scratch), stride: Self.strip &* 4)
            pending.offset = (rows.lowerBound &+ wholeRows) &* outputs &+ strip &* Self.strip
            for line in 0..<rows.count - wholeRows { pending.update(line) }
        }
    }

    /// Six rows by sixteen columns, over all samples, with an earlier block's update in between.
    @inline(__always)
    private func weightBlock(
        _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ pending: PendingUpdate
    ) -> RegisterBlock {
        var block = RegisterBlock()
        var x = x
        var dy = UnsafeRawPointer(dy)
        // Two rows' update at three places: each place costs the accumulators a way to memory and back.
        let share = samples / 3
        if pending.offset >= 0 {
            for place in 0..<3 {
                for _ in 0..<share {
                    block.accumulate(x, dy)
                    x += 6
                    dy += 64
                }
                pending.update(2 &* place)
                pending.update(2 &* place &+ 1)
            }
        } else {
            for _ in 0..<share &* 3 {
                block.accumulate(x, dy)
                x += 6
                dy += 64
            }
        }
        for _ in 0..<samples &- share &* 3 {
            block.accumulate(x, dy)
            x += 6
            dy += 64
        }
        return block
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

/// A register block whose gradient is ready and whose weights are not updated yet.
private struct PendingUpdate {
    /// Where the block begins in the layer's arrays; negative: there is none.
    var offset = -1
    private let immediate: ImmediateUpdate
    private let row: Int
    private let scratch: UnsafePointer<Float>

    /// - Parameter row: floats from a row of the weights to the next.
    init(_ immediate: ImmediateUpdate, row: Int, scratch: UnsafePointer<Float>) {
        self.immediate = immediate
        self.row = row
        self.scratch = scratch
    }

    /// Asks for the lines of a block.
    @inline(__always)
    func prefetch(_ offset: Int) {
        for line in 0..<TiledDense.panel {
            let place = offset &+ line &* row
            dtrain_prefetch(immediate.weights + place)
            dtrain_prefetch(immediate.firstMoment + place)
            dtrain_prefetch(immediate.secondMoment + place)
        }
    }

    /// Updates the sixteen weights of one of the block's rows.
    @inline(__always)
    func update(_ line: Int) {
        let place = offset &+ line &* row
        immediate.update.applyStrip(
            weights: immediate.weights + place, firstMoment: immediate.firstMoment + place,
            secondMoment: immediate.secondMoment + place, gradient: scratch + line &* TiledDense.strip)
    }

    /// Updates the last block.
    mutating func finish() {
        if offset >= 0 { for line in 0..<TiledDense.panel { update(line) } }
        offset = -1
    }
}
