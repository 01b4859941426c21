import System

/// How crops of training samples are varied. Amounts are standard deviations or greatest values as said; 0 leaves a part out.
///
/// What changes the geometry (jitter, rotation, scale) changes the crop and the labels by one `CropGeometry`; the rest changes
/// pixels of the crop alone.
package struct Augmentation: Sendable, Equatable, Codable {
    /// Standard deviation of the centre's shift along each of x, y, z, mm.
    package var jitter = 0.0
    /// Greatest rotation of the picture to either side, degrees; uniform.
    package var rotation = 0.0
    /// Standard deviation of the cube's factor about 1; factors are kept within 0.5...2.
    package var scale = 0.0
    /// Standard deviation of the noise of each hand pixel's depth, mm.
    package var depthNoise = 0.0
    /// Greatest share of hand pixels turned into background; a sample's share is uniform from 0 to this.
    package var dropout = 0.0
    /// Greatest number of round holes; a sample's number is uniform from 0 to this.
    package var holes = 0
    /// Greatest radius of a hole as a share of the crop's side; uniform from a quarter of this.
    package var holeRadius = 0.06

    package init() {}

    /// The sample as it is.
    package static let none = Augmentation()

    /// DeepPrior++'s amounts for ICVL, all at once.
    package static let icvl: Augmentation = {
        var augmentation = Augmentation()
        augmentation.jitter = 5
        augmentation.rotation = 180
        augmentation.scale = 0.02
        return augmentation
    }()

    /// AWR's and SRN's geometry, and a sensor worse than the one trained with: for synthetic hands that are to serve for real ones.
    package static let strong: Augmentation = {
        var augmentation = Augmentation()
        augmentation.jitter = 10
        augmentation.rotation = 180
        augmentation.scale = 0.1
        augmentation.depthNoise = 2
        augmentation.dropout = 0.15
        augmentation.holes = 3
        return augmentation
    }()

    package var isNone: Bool { !variesGeometry && !variesPixels }
    private var variesGeometry: Bool { jitter > 0 || rotation > 0 || scale > 0 }
    private var variesPixels: Bool { depthNoise > 0 || dropout > 0 || holes > 0 }

    /// What happens to one sample: a pure function of (settings, seed, epoch, position).
    package func variation(seed: UInt64, epoch: UInt64, position: UInt64) -> Variation {
        guard !isNone else { return .none }
        // Keeps this use of the seed apart from others.
        let stream = CounterRandom(seed: seed, stream: 0x6175_676D_0000_0000).bits(epoch)
        var random = CounterRandom(seed: stream, stream: position).generator()
        // As many numbers are drawn whatever the amounts are, so that parts can be switched one by one.
        let shift = SIMD3<Double>(
            Double(random.gaussian()), Double(random.gaussian()), Double(random.gaussian()))
        let turn = Double(random.uniform(-1...1))
        let factor = Double(random.gaussian())
        let share = random.uniform()
        let count = Int(random.uniform() * Float(holes + 1))
        return Variation(
            shift: jitter * shift, rotation: rotation * turn * .pi / 180,
            scale: min(max(1 + scale * factor, 0.5), 2), depthNoise: Float(depthNoise), dropout: Float(dropout) * share,
            holes: min(count, holes), holeRadius: Float(holeRadius), random: CounterRandom(seed: random.next(), stream: 0))
    }
}

/// How one sample is varied; see `Augmentation`.
package struct Variation: Sendable {
    /// Shift of the centre, mm.
    package let shift: SIMD3<Double>
    /// Rotation of the picture, clockwise, radians.
    package let rotation: Double
    /// Factor of the cube.
    package let scale: Double
    let depthNoise: Float  // mm
    let dropout: Float  // share of hand pixels
    let holes: Int
    let holeRadius: Float  // share of a side
    /// Numbers for pixels and holes.
    let random: CounterRandom

    /// Nothing is varied.
    package static let none = Variation(
        shift: .zero, rotation: 0, scale: 1, depthNoise: 0, dropout: 0, holes: 0, holeRadius: 0,
        random: CounterRandom(seed: 0, stream: 0))

    /// The centre (u px, v px, d mm) moved by the shift, seen by `camera`; unmoved where it would come too near to the camera.
    func moved(_ centre: SIMD3<Double>, _ camera: Camera) -> SIMD3<Double> {
        guard shift != .zero else { return centre }
        let moved = camera.image(camera.millimetres(u: centre.x, v: centre.y, d: centre.z) + shift)
        return CropGeometry.isUsable(moved) ? moved : centre
    }

    /// Changes the pixels of a crop: noise and dropout on what is not background, then holes.
    func apply(to input: UnsafeMutableBufferPointer<Float>, geometry: CropGeometry) {
        if depthNoise > 0 || dropout > 0 {
            let deviation = depthNoise / Float(geometry.half)
            for index in 0..<input.count where input[index] < CropGeometry.background {
                let bits = random.bits(UInt64(index))
                // As the sensor's noise: `approximateNormal` uses other bits than this chance.
                let chance = Float((bits &* 0x9E37_79B9_7F4A_7C15) >> 40) * 0x1p-24
                let noisy = input[index] + deviation * approximateNormal(bits)
                input[index] = chance < dropout ? CropGeometry.background : max(min(noisy, 1), -1)
            }
        }
        guard holes > 0 else { return }
        var generator = CounterRandom(seed: random.bits(UInt64.max), stream: 1).generator()
        for _ in 0..<holes {
            let size = Float(geometry.size)
            let column = generator.uniform() * size
            let row = generator.uniform() * size
            let radius = generator.uniform(0.25...1) * holeRadius * size
            punch(input, side: geometry.size, column: column, row: row, radius: radius)
        }
    }

    private func punch(
        _ input: UnsafeMutableBufferPointer<Float>, side: Int, column: Float, row: Float, radius: Float
    ) {
        let rows = max(Int(row - radius), 0)...min(Int(row + radius), side - 1)
        let columns = max(Int(column - radius), 0)...min(Int(column + radius), side - 1)
        for y in rows {
            for x in columns {
                let (across, down) = (Float(x) + 0.5 - column, Float(y) + 0.5 - row)
                if across * across + down * down <= radius * radius { input[y * side + x] = CropGeometry.background }
            }
        }
    }
}
