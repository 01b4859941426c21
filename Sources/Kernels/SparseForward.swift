import CLinux

extension WindowBatch {
    /// Adds a block's products to the partial sums: partial[s] += (x[s, rows] - c) · w[rows], for the images in which the block
    /// is active; and the block's rows of w to the channels' sums.
    /// - Parameters:
    ///   - row: the block's first row in `weights` and column in x.
    ///   - next: the first row of the block that comes after this one, whose weights are asked for meanwhile.
    ///   - partial: (`partialRows(samples)`, n), added to.
    ///   - sums: (8, n), those of living channels added to.
    ///   - scratch: `scratchCount(samples:)` floats of this thread.
    package func forward(
        block: Int, row: Int, next: Int?, weights: UnsafePointer<Float>, partial: UnsafeMutablePointer<Float>,
        sums: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
    ) {
        let room = Scratch(scratch, samples: samples)
        let (windowRow, columns) = blocks.place(block)
        let depth = columns.count &* Self.channels
        let w = weights + row &* outputs
        // In order of the rows, so that the memory's pages are read from end to end.
        addRows(w, windows: columns.count, to: sums)

        let count = WindowBlocks.collect(active, row: windowRow, columns: columns, images: samples, into: room.list)
        guard count > 0 else { return }
        let panels = (count + Self.panel - 1) / Self.panel
        for index in count..<panels * Self.panel { room.list[index] = Int32(samples) }
        pack(row: windowRow, columns: columns, count: count, panels: panels, x: x + row, scales: nil, room)

        let ahead = next.map { weights + $0 &* outputs }
        var column = 0
        while column < outputs {
            packStrip(w + column, stride: outputs, depth: depth, into: room.strip)
            if let ahead {
                // The next block's lines one after the other, as many as this strip has.
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
                sum.add(UnsafeMutableRawPointer(partial + column), rows: images, stride: outputs &* 4)
            }
            column &+= Self.strip
        }
    }

    /// x - c of a block, times the image's scale if there are scales, into (panels, depth, 6), 0 where a window is not active; what
    /// fills the last panel is 0.
    func pack(
        row: Int, columns: Range<Int>, count: Int, panels: Int, x: UnsafePointer<Float>, scales: UnsafePointer<Float>?,
        _ room: Scratch
    ) {
        let depth = columns.count &* Self.channels
        for index in 0..<panels &* Self.panel {
            let panel = index / Self.panel
            let target = room.values + (panel &* Self.panel &* depth &+ index &- panel &* Self.panel)
            let image = Int(room.list[index])
            let range = index < count ? active.range(row: row, image: image) : 0..<0
            let scale = index < count ? scales?[image] ?? 1 : 1
            for window in 0..<columns.count {
                let isActive = range.contains(columns.lowerBound &+ window)
                var values = SIMD8<Float>.zero
                if isActive {
                    values =
                        UnsafeRawPointer(x + (image &* stride &+ window &* Self.channels)).loadUnaligned(as: SIMD8<Float>.self)
                        - background
                    if scales != nil { values *= scale }
                }
                let place = target + window &* Self.channels &* Self.panel
                for channel in 0..<Self.channels { place[channel &* Self.panel] = values[channel] }
            }
        }
    }

    /// Adds the rows of each living channel to its sum, a block's windows first.
    private func addRows(
        _ w: UnsafePointer<Float>, windows: Int, to sums: UnsafeMutablePointer<Float>
    ) {
        let step = Self.channels &* outputs &* 4
        for channel in 0..<Self.channels where isLiving(channel) {
            let source = UnsafeRawPointer(w + channel &* outputs)
            let target = UnsafeMutableRawPointer(sums + channel &* outputs)
            var offset = 0
            while offset < outputs &* 4 {
                var row = source + offset
                var sum = row.loadUnaligned(as: SIMD8<Float>.self)
                for _ in 1..<max(1, windows) {
                    row += step
                    sum += row.loadUnaligned(as: SIMD8<Float>.self)
                }
                sum += target.loadUnaligned(fromByteOffset: offset, as: SIMD8<Float>.self)
                target.storeBytes(of: sum, toByteOffset: offset, as: SIMD8<Float>.self)
                offset &+= 32
            }
        }
    }
}

extension RegisterBlock {
    /// Adds to six rows of an array, which begins at `target`, by their numbers.
    @inline(__always)
    func add(_ target: UnsafeMutableRawPointer, rows: UnsafePointer<Int32>, stride: Int) {
        Self.add(a0, a1, target + Int(rows[0]) &* stride)
        Self.add(b0, b1, target + Int(rows[1]) &* stride)
        Self.add(c0, c1, target + Int(rows[2]) &* stride)
        Self.add(d0, d1, target + Int(rows[3]) &* stride)
        Self.add(e0, e1, target + Int(rows[4]) &* stride)
        Self.add(f0, f1, target + Int(rows[5]) &* stride)
    }
}
