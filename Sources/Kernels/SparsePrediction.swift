import CLinux

/// The forward product where every image's y must be a function of the image and the weights alone: whatever the other images
/// are, however many there are, and however the blocks are divided among threads and ranks.
///
/// A block's product is a float sum in order of the rows; blocks are added by `ExactSum`, in any order. An image's values are
/// brought to at most 1 first, by a power of two of its own.
extension WindowBatch {
    /// Columns of the sums: whole strips.
    package static func paddedOutputs(_ outputs: Int) -> Int { (outputs + strip - 1) / strip * strip }

    /// Doubles of the sums: a row for each image, one that takes what is not wanted, and one for the background.
    package static func predictionCount(samples: Int, outputs: Int) -> Int { (samples + 2) * paddedOutputs(outputs) }

    /// Adds a block's products to the sums: sums[s] += scale[s] · (x[s, rows] - c) · w[rows], for the images in which the block is
    /// active, and backgroundScale · c · w[rows] to row `samples` + 1.
    /// - Parameters:
    ///   - row: the block's first row in `weights` and column in x.
    ///   - next: the first row of the block that comes after this one, whose weights are asked for meanwhile.
    ///   - scales: (samples), powers of two.
    ///   - backgroundScale: nil: the background's products are not wanted.
    ///   - sums: `predictionCount(samples:outputs:)` doubles, added to.
    ///   - scratch: `scratchCount(samples:)` floats of this thread.
    package func predict(
        block: Int, row: Int, next: Int?, weights: UnsafePointer<Float>, scales: UnsafePointer<Float>,
        backgroundScale: Float?, sums: UnsafeMutableRawPointer, scratch: UnsafeMutablePointer<Float>
    ) {
        let room = Scratch(scratch, samples: samples)
        let (windowRow, columns) = blocks.place(block)
        let depth = columns.count &* Self.channels
        let rowBytes = Self.paddedOutputs(outputs) &* 8
        let w = weights + row &* outputs
        // In order of the rows, so that the memory's pages are read from end to end.
        if let backgroundScale {
            addBackground(w, windows: columns.count, scale: backgroundScale, to: sums + (samples &+ 1) &* rowBytes)
        }

        let count = WindowBlocks.collect(active, row: windowRow, columns: columns, images: samples, into: room.list)
        guard count > 0 else { return }
        let panels = (count + Self.panel - 1) / Self.panel
        for index in count..<panels * Self.panel { room.list[index] = Int32(samples) }
        pack(row: windowRow, columns: columns, count: count, panels: panels, x: x + row, scales: scales, room)

        let ahead = next.map { weights + $0 &* outputs }
        var column = 0
        while column < outputs {
            if column &+ Self.strip <= outputs {
                packStrip(w + column, stride: outputs, depth: depth, into: room.strip)
            } else {
                packEnd(w, from: column, depth: depth, into: room.strip)
            }
            if let ahead {
                let lines = ahead + column &* depth
                for line in 0..<depth { dtrain_prefetch(lines + line &* Self.strip) }
            }
            for panel in 0..<panels {
                let images = room.list + panel &* Self.panel
                var sum = RegisterBlock()
                var factors = UnsafePointer(room.values + panel &* Self.panel &* depth)
                var row = UnsafeRawPointer(room.strip)
                for _ in 0..<depth {
                    sum.accumulate(factors, row)
                    factors += Self.panel
                    row += 64
                }
                sum.addExactly(sums + column &* 8, rows: images, stride: rowBytes)
            }
            column &+= Self.strip
        }
    }

    /// The last columns of w's rows, fewer than sixteen, and zeros.
    private func packEnd(_ w: UnsafePointer<Float>, from column: Int, depth: Int, into strip: UnsafeMutablePointer<Float>) {
        strip.update(repeating: 0, count: depth &* Self.strip)
        for row in 0..<depth {
            (strip + row &* Self.strip).update(from: w + row &* outputs + column, count: outputs &- column)
        }
    }

    /// Adds scale · c · w of a block's windows, channel by channel.
    private func addBackground(
        _ w: UnsafePointer<Float>, windows: Int, scale: Float, to sums: UnsafeMutableRawPointer
    ) {
        let step = Self.channels &* outputs
        let whole = outputs / 8 * 8
        for channel in 0..<Self.channels where isLiving(channel) {
            let value = background[channel] * scale
            let source = w + channel &* outputs
            var column = 0
            while column < whole {
                var sum = SIMD8<Float>.zero
                for window in 0..<windows {
                    sum += UnsafeRawPointer(source + (window &* step &+ column)).loadUnaligned(as: SIMD8<Float>.self)
                }
                dtrain_add_exactly(sums + column &* 8, sum * value)
                column &+= 8
            }
            for column in whole..<outputs {
                var sum: Float = 0
                for window in 0..<windows { sum += source[window &* step &+ column] }
                let before = sums.load(fromByteOffset: column &* 8, as: Double.self)
                sums.storeBytes(of: before + ExactSum.rounded(sum * value), toByteOffset: column &* 8, as: Double.self)
            }
        }
    }
}

extension RegisterBlock {
    /// Adds to six rows of doubles, `stride` bytes apart, by their numbers; see `ExactSum`.
    @inline(__always)
    func addExactly(_ target: UnsafeMutableRawPointer, rows: UnsafePointer<Int32>, stride: Int) {
        @inline(__always)
        func add(_ low: SIMD8<Float>, _ high: SIMD8<Float>, _ row: Int32) {
            let place = target + Int(row) &* stride
            dtrain_add_exactly(place, low)
            dtrain_add_exactly(place + 64, high)
        }
        add(a0, a1, rows[0])
        add(b0, b1, rows[1])
        add(c0, c1, rows[2])
        add(d0, d1, rows[3])
        add(e0, e1, rows[4])
        add(f0, f1, rows[5])
    }
}
