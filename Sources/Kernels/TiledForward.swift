import CLinux

/// y = x · w over a range of rows of w.
enum TiledForward {
    /// Rows of w taken at a time: a strip of them, 16 columns wide, stays in the level-1 cache for all panels of samples.
    static let depth = 128
}

extension TiledDense {
    /// Partial product over the rows `rows` of w: partial = x[:, rows] · w[rows, :], each sum in order of the rows within
    /// blocks of 128, blocks in order.
    /// - Parameters:
    ///   - x: (b, k). weights: (k, n).
    ///   - partial: overwritten, (`paddedSamples(b)`, n); rows past b become 0.
    ///   - scratch: `scratchCount(samples:rows:)` floats of this thread.
    package func forward(
        x: UnsafePointer<Float>, weights: UnsafePointer<Float>, rows: Range<Int>,
        partial: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
    ) {
        let panels = Self.paddedSamples(samples) / Self.panel
        var start = rows.lowerBound
        while start < rows.upperBound {
            let depth = min(TiledForward.depth, rows.upperBound - start)
            packTransposed(x + start, depth: depth, into: scratch)
            let block = weights + start * outputs
            let isFirst = start == rows.lowerBound
            // The next strip's lines are asked for while this one is used, some a panel.
            let ahead = (depth + panels - 1) / panels
            let packedStrip = scratch + panels &* Self.panel &* TiledForward.depth
            var column = 0
            while column < outputs {
                packStrip(block + column, stride: outputs, depth: depth, into: packedStrip)
                for panel in 0..<panels {
                    let next = block + (column &+ Self.strip)
                    var line = panel &* ahead
                    let lastLine = min(line &+ ahead, depth)
                    while line < lastLine {
                        dtrain_prefetch(next + line &* outputs)
                        line &+= 1
                    }
                    forwardBlock(
                        depth, x: scratch + panel &* Self.panel &* depth, w: packedStrip,
                        y: partial + (panel &* Self.panel &* outputs &+ column), isFirst: isFirst)
                }
                column &+= Self.strip
            }
            start += depth
        }
    }

    /// x (b, k) at some column, `depth` columns of it, into (panels, depth, 6); samples past b are 0.
    private func packTransposed(_ x: UnsafePointer<Float>, depth: Int, into packed: UnsafeMutablePointer<Float>) {
        let panel = Self.panel
        for first in stride(from: 0, to: samples, by: panel) {
            let target = packed + first &* depth
            let count = min(panel, samples &- first)
            for row in 0..<panel {
                let column = target + row
                if row < count {
                    let source = x + (first &+ row) &* inputs
                    for k in 0..<depth { column[k &* panel] = source[k] }
                } else {
                    for k in 0..<depth { column[k &* panel] = 0 }
                }
            }
        }
    }

    /// Six samples by sixteen columns.
    @inline(__always)
    private func forwardBlock(
        _ depth: Int, x: UnsafePointer<Float>, w: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>, isFirst: Bool
    ) {
        var block = RegisterBlock()
        var x = x
        var w = UnsafeRawPointer(w)
        for _ in 0..<depth {
            block.accumulate(x, w)
            x += 6
            w += 64
        }
        let step = outputs &* 4
        let y = UnsafeMutableRawPointer(y)
        if isFirst { block.store(y, stride: step) } else { block.add(y, stride: step) }
    }
}

/// Copies sixteen columns of w, one line a row: rows of a power of two of bytes apart would all claim the same few places of the
/// level-1 cache.
/// - Parameter stride: floats from a row of w to the next.
@inline(__always)
func packStrip(_ w: UnsafePointer<Float>, stride: Int, depth: Int, into packed: UnsafeMutablePointer<Float>) {
    var (source, target) = (UnsafeRawPointer(w), UnsafeMutableRawPointer(packed))
    for _ in 0..<depth {
        target.storeBytes(of: source.loadUnaligned(as: SIMD8<Float>.self), as: SIMD8<Float>.self)
        target.storeBytes(
            of: source.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self), toByteOffset: 32, as: SIMD8<Float>.self)
        source += stride &* 4
        target += 64
    }
}

/// Twelve accumulators: six rows by sixteen columns.
struct RegisterBlock {
    var a0 = SIMD8<Float>.zero, a1 = SIMD8<Float>.zero, b0 = SIMD8<Float>.zero, b1 = SIMD8<Float>.zero
    var c0 = SIMD8<Float>.zero, c1 = SIMD8<Float>.zero, d0 = SIMD8<Float>.zero, d1 = SIMD8<Float>.zero
    var e0 = SIMD8<Float>.zero, e1 = SIMD8<Float>.zero, f0 = SIMD8<Float>.zero, f1 = SIMD8<Float>.zero

    @inline(__always)
    init() {}

    /// Adds the product of six factors and a row of sixteen.
    @inline(__always)
    mutating func accumulate(_ factors: UnsafePointer<Float>, _ row: UnsafeRawPointer) {
        let low = row.loadUnaligned(as: SIMD8<Float>.self)
        let high = row.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self)
        var factor = SIMD8<Float>(repeating: factors[0])
        a0.addProduct(factor, low)
        a1.addProduct(factor, high)
        factor = SIMD8(repeating: factors[1])
        b0.addProduct(factor, low)
        b1.addProduct(factor, high)
        factor = SIMD8(repeating: factors[2])
        c0.addProduct(factor, low)
        c1.addProduct(factor, high)
        factor = SIMD8(repeating: factors[3])
        d0.addProduct(factor, low)
        d1.addProduct(factor, high)
        factor = SIMD8(repeating: factors[4])
        e0.addProduct(factor, low)
        e1.addProduct(factor, high)
        factor = SIMD8(repeating: factors[5])
        f0.addProduct(factor, low)
        f1.addProduct(factor, high)
    }

    /// Overwrites six rows, `stride` bytes apart.
    @inline(__always)
    func store(_ target: UnsafeMutableRawPointer, stride: Int) {
        Self.store(a0, a1, target)
        Self.store(b0, b1, target + stride)
        Self.store(c0, c1, target + 2 &* stride)
        Self.store(d0, d1, target + 3 &* stride)
        Self.store(e0, e1, target + 4 &* stride)
        Self.store(f0, f1, target + 5 &* stride)
    }

    /// Adds to six rows, `stride` bytes apart.
    @inline(__always)
    func add(_ target: UnsafeMutableRawPointer, stride: Int) {
        Self.add(a0, a1, target)
        Self.add(b0, b1, target + stride)
        Self.add(c0, c1, target + 2 &* stride)
        Self.add(d0, d1, target + 3 &* stride)
        Self.add(e0, e1, target + 4 &* stride)
        Self.add(f0, f1, target + 5 &* stride)
    }

    @inline(__always)
    private static func store(_ low: SIMD8<Float>, _ high: SIMD8<Float>, _ target: UnsafeMutableRawPointer) {
        target.storeBytes(of: low, as: SIMD8<Float>.self)
        target.storeBytes(of: high, toByteOffset: 32, as: SIMD8<Float>.self)
    }

    @inline(__always)
    static func add(_ low: SIMD8<Float>, _ high: SIMD8<Float>, _ target: UnsafeMutableRawPointer) {
        let source = UnsafeRawPointer(target)
        store(
            source.loadUnaligned(as: SIMD8<Float>.self) + low,
            source.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self) + high, target)
    }
}
