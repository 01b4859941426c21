import Memory

/// What the numbers of a label or of a network's output mean; three for each joint.
package enum LabelUnits: String, CaseIterable, Sendable, Codable {
    /// (u px, v px, d mm) in the frame.
    case image
    /// (cu, cv, cd) in the crop, in half cubes about the centre; see `CropGeometry`.
    case crop
}

/// How a hand is cut out of a frame.
package struct HandCrop: Sendable {
    /// Edge of the cube, mm.
    package var cube = 250.0
    /// Pixels along a side of the network's input.
    package var size: Int
    package var resampling = Resampling.nearest
    package var centre = CentreFinder.com
    /// What labels are written in.
    package var labelUnits = LabelUnits.crop
    /// The frames' camera; nil: ICVL's, scaled to the frame.
    package var camera: Camera?
    /// How training samples are varied.
    package var augmentation = Augmentation.none

    package init(size: Int) { self.size = size }
}

/// The one way from a frame to a network's input: decode, find the centre, crop, vary, condition. Training, evaluation and
/// prediction differ in whether they vary, in nothing else.
package struct SamplePipeline: Sendable {
    /// What of a frame the network sees.
    package enum View: Sendable {
        /// All of it, pixel by pixel; labels stay in image units.
        case frame(DepthConditioning)
        case crop(HandCrop)
    }

    package let view: View
    /// The camera of full frames; nil: ICVL's, scaled to the frame.
    private var frameCamera: Camera?

    private init(view: View, frameCamera: Camera? = nil) { (self.view, self.frameCamera) = (view, frameCamera) }

    /// Full frames.
    package static func frame(_ conditioning: DepthConditioning, camera: Camera? = nil) -> SamplePipeline {
        SamplePipeline(view: .frame(conditioning), frameCamera: camera)
    }

    /// Crops of hands.
    /// - Precondition: cube and size are positive.
    package static func crop(_ crop: HandCrop) -> SamplePipeline {
        precondition(crop.cube > 0 && crop.cube.isFinite && crop.size > 0, "a crop has a size")
        return SamplePipeline(view: .crop(crop))
    }

    package var crop: HandCrop? {
        if case .crop(let crop) = view { crop } else { nil }
    }

    /// What the labels it writes are in.
    package var labelUnits: LabelUnits { crop?.labelUnits ?? .image }

    /// Turns outputs of a network trained on these samples back into joints.
    package var decoder: JointDecoder { JointDecoder(units: labelUnits) }

    /// (width, height) of the network's input for frames of this size.
    package func inputSize(width: Int, height: Int) -> (width: Int, height: Int) {
        if let crop { (crop.size, crop.size) } else { (width, height) }
    }

    /// The frames' camera.
    package func camera(width: Int, height: Int) -> Camera {
        crop?.camera ?? frameCamera ?? .icvl(width: width, height: height)
    }

    /// What `seed` makes of the sample at `position` of an order of `count` samples: for training.
    package func variation(seed: UInt64, position: UInt64, count: Int) -> Variation {
        guard let crop else { return .none }
        let (epoch, offset) = position.quotientAndRemainder(dividingBy: UInt64(max(count, 1)))
        return crop.augmentation.variation(seed: seed, epoch: epoch, position: offset)
    }

    /// Prepares sample `index` of `source`: reads it, then as `prepare(_:of:index:variation:scratch:input:label:)`.
    ///
    /// - Parameters:
    ///   - variation: `.none` for evaluation.
    ///   - scratch: made for frames of the source's size; holds the frame afterwards.
    ///   - input: `inputSize` values, row-major.
    ///   - label: 48 values, written in `labelUnits`.
    /// - Returns: the crop's geometry; nil for full frames.
    /// - Throws: `BadSample` if the sample cannot be read or shows no hand.
    @discardableResult
    package func prepare(
        _ source: any FrameSource, index: Int, variation: Variation = .none, scratch: SampleScratch,
        input: UnsafeMutableBufferPointer<Float>, label: UnsafeMutableBufferPointer<Float>
    ) throws(BadSample) -> CropGeometry? {
        try source.readSample(index, depth: scratch.depth, label: label)
        do {
            let centre = try centre(of: scratch.frame, index: index, label: UnsafeBufferPointer(label), scratch: scratch)
            return finish(scratch.frame, centre: centre, variation: variation, input: input, label: label)
        } catch {
            throw source.refuse(index, reason: error.reason)
        }
    }

    /// Prepares a frame that no source lists and that has no label.
    ///
    /// - Parameter centre: the centre of the crop; nil: found by `com`, whatever the crop's own way is.
    /// - Throws: `NoCentre` if the frame shows no hand.
    @discardableResult
    package func prepare(
        _ frame: DepthFrame, centre: SIMD3<Double>? = nil, scratch: SampleScratch, input: UnsafeMutableBufferPointer<Float>
    ) throws(NoCentre) -> CropGeometry? {
        guard let crop else { return finish(frame, centre: nil, variation: .none, input: input, label: nil) }
        let found: SIMD3<Double>
        if let centre {
            found = try Self.usable(centre)
        } else {
            found = try Self.centreOfMass(frame, camera(width: frame.width, height: frame.height), crop.cube, scratch)
        }
        return finish(frame, centre: found, variation: .none, input: input, label: nil)
    }

    /// Whether centres take work that is worth keeping.
    var findsCentres: Bool {
        if case .com = crop?.centre { true } else { false }
    }

    // MARK: Parts, for a loader that keeps frames and centres

    /// The centre (u px, v px, d mm) of sample `index`'s crop before it is varied; nil for full frames.
    /// - Parameter label: its label in image units.
    func centre(
        of frame: DepthFrame, index: Int, label: UnsafeBufferPointer<Float>, scratch: SampleScratch
    ) throws(NoCentre) -> SIMD3<Double>? {
        guard let crop else { return nil }
        switch crop.centre {
        case .com:
            return try Self.centreOfMass(frame, camera(width: frame.width, height: frame.height), crop.cube, scratch)
        case .file(let table): return try Self.usable(table[index])
        case .labels: return try Self.usable(CentreFinder.mean(of: label))
        }
    }

    /// Writes the input, and turns the label from image units into `labelUnits`.
    func finish(
        _ frame: DepthFrame, centre: SIMD3<Double>?, variation: Variation, input: UnsafeMutableBufferPointer<Float>,
        label: UnsafeMutableBufferPointer<Float>?
    ) -> CropGeometry? {
        switch view {
        case .frame(let conditioning):
            conditioning.apply(frame.depth, to: input)
            return nil
        case .crop(let crop):
            guard let centre else { preconditionFailure("a crop has a centre") }
            let camera = camera(width: frame.width, height: frame.height)
            let geometry = CropGeometry(
                centre: variation.moved(centre, camera), cube: crop.cube, size: crop.size, camera: camera,
                rotation: variation.rotation, scale: variation.scale)
            geometry.sample(frame, resampling: crop.resampling, into: input)
            variation.apply(to: input, geometry: geometry)
            if let label, crop.labelUnits == .crop { geometry.crop(UnsafeBufferPointer(label), into: label) }
            return geometry
        }
    }

    private static func centreOfMass(
        _ frame: DepthFrame, _ camera: Camera, _ cube: Double, _ scratch: SampleScratch
    ) throws(NoCentre) -> SIMD3<Double> {
        guard let centre = scratch.centreOfMass.find(frame, camera: camera, cube: cube) else {
            let least = Int(CentreOfMass.leastArea / 100)
            throw NoCentre(
                reason: "no hand in the frame: no connected surface of at least \(least) cm2 nearer than "
                    + "\(DepthConditioning.farthestValid) mm")
        }
        return centre
    }

    private static func usable(_ centre: SIMD3<Double>) throws(NoCentre) -> SIMD3<Double> {
        guard CropGeometry.isUsable(centre) else {
            throw NoCentre(
                reason: "no crop can be made about (\(Float(centre.x)), \(Float(centre.y))) px at \(Float(centre.z)) mm: "
                    + "10 to 10000 mm expected")
        }
        return centre
    }
}

/// Why a frame has no crop.
package struct NoCentre: Error, Equatable {
    package let reason: String
}

/// Working memory of one sample at a time: one for each thread. Preparing samples with it allocates nothing.
package final class SampleScratch {
    package let width: Int
    package let height: Int
    /// (height, width): the frame last read, mm.
    package let depth: UnsafeMutableBufferPointer<UInt16>
    let centreOfMass: CentreOfMass

    /// - Parameters: `width` and `height` of the frames, pixels.
    package init(width: Int, height: Int) {
        self.width = width
        self.height = height
        depth = .allocate(capacity: width * height)
        depth.initialize(repeating: 0)
        centreOfMass = CentreOfMass(width: width, height: height)
    }

    deinit { depth.deallocate() }

    package var frame: DepthFrame { DepthFrame(UnsafeBufferPointer(depth), width: width, height: height) }
}

/// The one way back: from a network's outputs to joints in the frame, and to millimetres.
package struct JointDecoder: Sendable, Equatable {
    /// What the outputs are in.
    package let units: LabelUnits

    package init(units: LabelUnits) { self.units = units }

    /// Writes the joints (u px, v px, d mm each) that `outputs` stand for; the buffers may be one.
    /// - Parameter geometry: the sample's; nil for full frames, whose outputs are in image units.
    package func image(
        _ outputs: UnsafeBufferPointer<Float>, geometry: CropGeometry?, into joints: UnsafeMutableBufferPointer<Float>
    ) {
        switch (units, geometry) {
        case (.image, _):
            if outputs.baseAddress != UnsafePointer(joints.baseAddress) { _ = joints.update(fromContentsOf: outputs) }
        case (.crop, let geometry?): geometry.image(outputs, into: joints)
        case (.crop, nil): preconditionFailure("crop units need the sample's geometry")
        }
    }

    /// The place (x, y, z), mm, of each joint that `outputs` stand for, in Double throughout.
    /// - Parameter camera: turns pixels into mm.
    package func millimetres(
        _ outputs: UnsafeBufferPointer<Float>, geometry: CropGeometry?, camera: Camera
    ) -> [SIMD3<Double>] {
        stride(from: 0, to: outputs.count, by: 3).map { start in
            var place = SIMD3(Double(outputs[start]), Double(outputs[start + 1]), Double(outputs[start + 2]))
            if units == .crop {
                guard let geometry else { preconditionFailure("crop units need the sample's geometry") }
                place = geometry.image(place)
            }
            return camera.millimetres(u: place.x, v: place.y, d: place.z)
        }
    }
}
