/// Finds the hand in a depth frame without labels: the centre of mass of the nearest connected hand-sized surface.
///
/// 1. The frame is sampled at about 160 x 120 cells. Neighbours whose depths differ by little are one surface
///    (connected components by union-find).
/// 2. Of the surfaces of at least `leastArea`, the one that comes nearest to the camera is taken: a body or a face behind a hand, or a
///    wall, is farther; noise is smaller. If there is none, a hand may lie in pieces, each finger before the last: then surfaces go on over
///    steps as deep as a finger. Where arm and body hang on the hand, its part within `seedDepth` of its nearest is the start.
/// 3. The window of the size of an open hand that holds most of this part and is left by least of it: the hand's end
///    of an arm, however the arm comes into the picture.
/// 4. The mean (u, v, d) of the surface's cells within the middle of the cube about the last mean, some times over.
///
/// One belongs to one thread at a time: not Sendable. Finding allocates nothing.
package final class CentreOfMass {
    /// A surface smaller than this is no hand, mm2. A fist seen from its knuckles has about 3,500.
    package static let leastArea = 1500.0
    /// What neighbours on a surface differ by beyond its slope, mm: noise; and, of a hand in pieces, one finger before another.
    private static let steps: [Int32] = [8, 30]
    /// How far from its nearest part on a surface may belong to the hand before the cube decides, mm.
    private static let seedDepth = 120
    private static let iterations = 8
    /// The share of the cube that an open hand fills: 175 mm of 250.
    private static let searchShare = 0.7
    /// The share of the cube whose surface is averaged. In the whole cube the mean slides down a forearm, away from the fingers, by
    /// up to 50 mm; in this one (138 mm of 250), it stays on the hand and varies least about the joints.
    private static let handShare = 0.55
    /// Width of the rim beyond a window in which what leaves it is counted, mm.
    private static let rim = 15.0
    /// Cells of the window that a cell of the rim outweighs.
    private static let rimWeight: Float = 1.5
    private static let mostSurfaces = 8
    private static let binWidth = 8
    private static let binCount = Int(DepthConditioning.farthestValid) / binWidth + 1

    private let width: Int
    private let height: Int
    /// Pixels from one cell to the next.
    private let step: Int
    private let columns: Int
    private let rows: Int
    private let depths: UnsafeMutableBufferPointer<Int32>  // (rows, columns), mm; 0: no surface
    private let surfaces: UnsafeMutableBufferPointer<Int32>  // (rows, columns): a cell of the same surface, at last its first
    private let counts: UnsafeMutableBufferPointer<Int32>  // at a surface's first cell: its number of cells
    private let depthSums: UnsafeMutableBufferPointer<Int64>  // there: the sum of its depths, mm
    private let sums: UnsafeMutableBufferPointer<Int32>  // (rows + 1, columns + 1)
    private let histogram: UnsafeMutableBufferPointer<Int32>  // (mostSurfaces, binCount)

    /// - Parameters: `width` and `height` of the frames, pixels.
    package init(width: Int, height: Int) {
        self.width = width
        self.height = height
        step = max(1, Int((Double(width * height) / 19_200).squareRoot()))
        columns = max(width / step, 1)
        rows = max(height / step, 1)
        let cells = columns * rows
        depths = .allocate(capacity: cells)
        surfaces = .allocate(capacity: cells)
        counts = .allocate(capacity: cells)
        depthSums = .allocate(capacity: cells)
        sums = .allocate(capacity: (rows + 1) * (columns + 1))
        histogram = .allocate(capacity: Self.mostSurfaces * Self.binCount)
        depths.initialize(repeating: 0)
        surfaces.initialize(repeating: 0)
        counts.initialize(repeating: 0)
        depthSums.initialize(repeating: 0)
        sums.initialize(repeating: 0)
        histogram.initialize(repeating: 0)
    }

    deinit {
        depths.deallocate()
        surfaces.deallocate()
        counts.deallocate()
        depthSums.deallocate()
        sums.deallocate()
        histogram.deallocate()
    }

    /// The centre (u px, v px, d mm) of the hand in `frame`, or nil if no surface is as large as a hand.
    /// - Parameters:
    ///   - camera: of the frame.
    ///   - cube: edge of the cube that holds a hand, mm.
    package func find(_ frame: DepthFrame, camera: Camera, cube: Double) -> SIMD3<Double>? {
        precondition(frame.width == width && frame.height == height, "frames have the size this was made for")
        var found: (surface: Int, nearest: Int)?
        for deepest in Self.steps where found == nil {
            connect(frame, camera, deepest: deepest)
            found = nearestSurface(camera)
        }
        guard let (surface, nearest) = found else { return nil }
        let slab = 0...(nearest + Self.seedDepth)
        guard var centre = handEnd(surface, depths: slab, half: cube / 2 * Self.searchShare, camera) else { return nil }
        let half = cube / 2 * Self.handShare
        for _ in 0..<Self.iterations {
            let reach = SIMD2(half * camera.focalU / centre.z, half * camera.focalV / centre.z)
            let near = Int((centre.z - half).rounded(.up))
            let far = Int((centre.z + half).rounded(.down))
            guard let next = mean(of: surface, in: cells(about: centre, reach: reach), depths: near...far) else { break }
            let moved = next - centre
            centre = next
            if abs(moved.x) < 0.1 && abs(moved.y) < 0.1 && abs(moved.z) < 0.1 { break }
        }
        return CropGeometry.isUsable(centre) ? centre : nil
    }

    // MARK: Surfaces

    /// Fills `depths` and joins neighbouring cells of one surface in `surfaces`: roots are a surface's first cells.
    /// - Parameter deepest: what neighbours may differ by beyond the slope, mm.
    private func connect(_ frame: DepthFrame, _ camera: Camera, deepest: Int32) {
        let source = frame.depth.baseAddress!
        let depth = depths.baseAddress!
        let parent = surfaces.baseAddress!
        // Neighbours on a surface differ by up to four times their distance (a slope of 76 degrees), and by a step.
        let slope = Float(min(4 * Double(step) / min(camera.focalU, camera.focalV), 1000))
        for row in 0..<rows {
            let line = source + (row * step + step / 2) * width + step / 2
            let base = row * columns
            for column in 0..<columns {
                let cell = base + column
                let value = line[column &* step]
                guard value &- 1 < DepthConditioning.farthestValid - 1 else {
                    depth[cell] = 0
                    continue
                }
                let own = Int32(value)
                depth[cell] = own
                parent[cell] = Int32(truncatingIfNeeded: cell)
                let gap = deepest + Int32(Float(own) * slope)
                if column > 0 && depth[cell - 1] != 0 && abs(depth[cell - 1] - own) <= gap { join(cell, cell - 1) }
                if row > 0 && depth[cell - columns] != 0 && abs(depth[cell - columns] - own) <= gap {
                    join(cell, cell - columns)
                }
            }
        }
    }

    private func root(_ cell: Int) -> Int {
        let parent = surfaces.baseAddress!
        var cell = cell
        while Int(parent[cell]) != cell {
            parent[cell] = parent[Int(parent[cell])]
            cell = Int(parent[cell])
        }
        return cell
    }

    /// The smaller index becomes the root, so that a surface's root is its first cell.
    private func join(_ a: Int, _ b: Int) {
        let (a, b) = (root(a), root(b))
        if a < b { surfaces[b] = Int32(a) } else { surfaces[a] = Int32(b) }
    }

    /// The first cell of the surface that comes nearest, of the largest ones that are large enough; and its nearest depth, mm.
    private func nearestSurface(_ camera: Camera) -> (surface: Int, nearest: Int)? {
        let cellSolidAngle = Double(step * step) / (camera.focalU * camera.focalV)
        for cell in 0..<(rows * columns) where depths[cell] != 0 {
            let first = root(cell)
            surfaces[cell] = Int32(first)
            if first == cell {
                counts[cell] = 0
                depthSums[cell] = 0
            }
            counts[first] += 1
            depthSums[first] += Int64(depths[cell])
        }

        // The largest surfaces in order of size; equal ones in order of place.
        var found = 0
        var largest = [8 of Int32](repeating: 0)
        for cell in 0..<(rows * columns) where depths[cell] != 0 && Int(surfaces[cell]) == cell {
            let mean = Double(depthSums[cell]) / Double(counts[cell])
            guard Double(counts[cell]) * cellSolidAngle * mean * mean >= Self.leastArea else { continue }
            var place = found
            while place > 0 && counts[Int(largest[place - 1])] < counts[cell] { place -= 1 }
            guard place < Self.mostSurfaces else { continue }
            found = min(found + 1, Self.mostSurfaces)
            for index in stride(from: found - 1, to: place, by: -1) { largest[index] = largest[index - 1] }
            largest[place] = Int32(cell)
        }
        guard found > 0 else { return nil }

        histogram.update(repeating: 0)
        for cell in 0..<(rows * columns) where depths[cell] != 0 {
            for index in 0..<found where surfaces[cell] == largest[index] {
                histogram[index * Self.binCount + Int(depths[cell]) / Self.binWidth] += 1
            }
        }
        var best: (surface: Int, nearest: Int)?
        for index in 0..<found {
            let nearest = nearestDepth(histogram.baseAddress! + index * Self.binCount, cellSolidAngle)
            if nearest < best?.nearest ?? .max { best = (Int(largest[index]), nearest) }
        }
        return best
    }

    /// Where a third of the least hand lies nearer, mm: no few flying pixels decide.
    private func nearestDepth(_ bins: UnsafePointer<Int32>, _ cellSolidAngle: Double) -> Int {
        var area = 0.0
        for bin in 0..<Self.binCount {
            let depth = (Double(bin) + 0.5) * Double(Self.binWidth)
            area += Double(bins[bin]) * cellSolidAngle * depth * depth
            if area >= Self.leastArea / 3 { return (bin + 1) * Self.binWidth }
        }
        return Self.binCount * Self.binWidth
    }

    // MARK: The hand's end of an arm

    /// The mean (u, v, d) of that window of `half` mm to each side which holds most of `surface` and is left by least of it: a hand
    /// is left by a wrist, a piece of an arm by two stumps.
    private func handEnd(
        _ surface: Int, depths range: ClosedRange<Int>, half: Double, _ camera: Camera
    ) -> SIMD3<Double>? {
        guard let middle = mean(of: surface, in: cells, depths: range) else { return nil }
        let (near, far) = (Int32(range.lowerBound), Int32(range.upperBound))
        let own = Int32(surface)
        // Sums over all cells above and to the left.
        let stride = columns + 1
        let sum = sums.baseAddress!
        for row in 0..<rows {
            let depth = depths.baseAddress! + row * columns
            let label = surfaces.baseAddress! + row * columns
            let above = sum + row * stride
            let line = above + stride
            var inRow: Int32 = 0
            line[0] = 0
            for column in 0..<columns {
                let value = depth[column]
                if value != 0 && label[column] == own && value >= near && value <= far { inRow &+= 1 }
                line[column &+ 1] = above[column &+ 1] &+ inRow
            }
        }
        func count(_ column: Int, _ row: Int, _ across: Int, _ down: Int) -> Int32 {
            let left = max(column - across, 0)
            let right = min(column + across + 1, columns)
            let top = max(row - down, 0) * stride
            let bottom = min(row + down + 1, rows) * stride
            return sum[bottom + right] - sum[bottom + left] - sum[top + right] + sum[top + left]
        }
        func reach(_ millimetres: Double, _ focal: Double) -> Int {
            Int(min(max((millimetres * focal / middle.z / Double(step)).rounded(), 1), 1e4))
        }
        let inner = (reach(half, camera.focalU), reach(half, camera.focalV))
        let rim = (reach(Self.rim, camera.focalU), reach(Self.rim, camera.focalV))
        var best = (score: Float(-1e9), column: 0, row: 0)
        for row in 0..<rows {
            let depth = depths.baseAddress! + row * columns
            let label = surfaces.baseAddress! + row * columns
            for column in 0..<columns where label[column] == own && depth[column] != 0 && depth[column] <= far {
                let within = count(column, row, inner.0, inner.1)
                var leaving = count(column, row, inner.0 + rim.0, inner.1 + rim.1) - within
                // What touches the frame's border goes on beyond it.
                if column <= inner.0 { leaving += count(0, row, 0, inner.1) * Int32(rim.0) }
                if column + inner.0 >= columns - 1 { leaving += count(columns - 1, row, 0, inner.1) * Int32(rim.0) }
                if row <= inner.1 { leaving += count(column, 0, inner.0, 0) * Int32(rim.1) }
                if row + inner.1 >= rows - 1 { leaving += count(column, rows - 1, inner.0, 0) * Int32(rim.1) }
                let score = Float(within) - Self.rimWeight * Float(leaving)
                if score > best.score { best = (score, column, row) }
            }
        }
        let window = (
            max(best.column - inner.0, 0)..<min(best.column + inner.0 + 1, columns),
            max(best.row - inner.1, 0)..<min(best.row + inner.1 + 1, rows)
        )
        return mean(of: surface, in: window, depths: range)
    }

    // MARK: Means

    private typealias Window = (columns: Range<Int>, rows: Range<Int>)

    /// All cells.
    private var cells: Window { (0..<columns, 0..<rows) }

    /// The cells whose pixels lie within `reach` pixels of `centre`.
    private func cells(about centre: SIMD3<Double>, reach: SIMD2<Double>) -> Window {
        func range(_ middle: Double, _ reach: Double, _ count: Int) -> Range<Int> {
            let offset = Double(step / 2)
            let first = ((middle - reach - offset) / Double(step)).rounded(.up)
            let last = ((middle + reach - offset) / Double(step)).rounded(.down)
            let low = Int(max(min(first, Double(count)), 0))
            return low..<max(Int(max(min(last + 1, Double(count)), 0)), low)
        }
        return (range(centre.x, reach.x, columns), range(centre.y, reach.y, rows))
    }

    /// Mean (u, v, d) of the cells of `surface` in `window` with depths in `depths`; nil without any.
    private func mean(of surface: Int, in window: Window, depths range: ClosedRange<Int>) -> SIMD3<Double>? {
        let (near, far) = (Int32(range.lowerBound), Int32(range.upperBound))
        let own = Int32(surface)
        var (count, columnSum, rowSum, depthSum) = (0, 0, 0, 0)
        for row in window.rows {
            let depth = depths.baseAddress! + row * columns
            let label = surfaces.baseAddress! + row * columns
            var inRow = 0
            for column in window.columns {
                let value = depth[column]
                guard value != 0, label[column] == own, value >= near, value <= far else { continue }
                inRow &+= 1
                columnSum &+= column
                depthSum &+= Int(value)
            }
            count += inRow
            rowSum += inRow * row
        }
        guard count > 0 else { return nil }
        func pixel(_ sum: Int) -> Double { Double(sum) / Double(count) * Double(step) + Double(step / 2) }
        return SIMD3(pixel(columnSum), pixel(rowSum), Double(depthSum) / Double(count))
    }
}
