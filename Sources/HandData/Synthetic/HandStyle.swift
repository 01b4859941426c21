/// Which kind of synthetic hands is drawn.
package enum HandModel: String, CaseIterable, Sendable, Codable {
    /// Dtrain's first: joints in the bones, a forearm that leaves downwards, cut near the hand.
    case first
    /// Fitted to the centres of mass of real ICVL frames around the real joints (`HandBuild.icvl`).
    case icvl
    /// As `icvl`, but with more poses, views and proportions than one subject has: fingers that bend by themselves in a third of the frames,
    /// hands turned further in a sixth, and joints off where the model has them, the flesh around them following.
    case varied
}

/// Which way random hands point in the picture.
package enum HandDirections: String, CaseIterable, Sendable, Codable {
    /// Upwards, leaning as the real test hands do.
    case upright
    /// Any way: turned about the palm by a uniform angle.
    case any
}

/// From which sides random hands are seen.
package enum HandViews: String, CaseIterable, Sendable, Codable {
    /// The palm, as in ICVL's frames, a few turned further.
    case palm
    /// Every side: half of the hands are turned about their fingers' direction by a uniform angle, so that backs and edges are seen too.
    case all
}

/// How synthetic hands look and vary. Frames are a function of it, too.
package struct HandStyle: Sendable, Equatable {
    package var model = HandModel.first
    /// Factor of the deviations of size, digit lengths and girth of random hands: 1 is 3.5%, 2% and 6%.
    package var variation = 1.0
    package var directions = HandDirections.upright
    package var views = HandViews.palm
    /// How much nearer to the camera than the bones' middle a label's d is, mm; nil: the model's. ICVL's are 10 mm nearer, where the
    /// surface of fingers is; labels from fitted hand models are in the bones.
    package var surfaceOffset: Double?
    /// The camera that sees them; nil: ICVL's, scaled to the frame.
    package var camera: Camera?

    package init(
        model: HandModel = .first, variation: Double = 1, directions: HandDirections = .upright, views: HandViews = .palm,
        surfaceOffset: Double? = nil, camera: Camera? = nil
    ) {
        (self.model, self.variation, self.directions, self.camera) = (model, variation, directions, camera)
        (self.views, self.surfaceOffset) = (views, surfaceOffset)
    }

    /// For fingerprints; empty for the first hands, whose fingerprints are older than styles.
    var words: [UInt64] {
        guard self != HandStyle() else { return [] }
        let intrinsics = camera.map { [$0.focalU, $0.focalV, $0.centreU, $0.centreV] } ?? []
        return [model == .first ? 1 : model == .icvl ? 2 : 3, variation.bitPattern, directions == .upright ? 1 : 2] + intrinsics.map(\.bitPattern)
            + (views == .palm ? [] : [1]) + (surfaceOffset.map { [2, $0.bitPattern] } ?? [])
    }

    var build: HandBuild { model == .first ? .first : .icvl }

    /// How much nearer than the bones a label's d is, mm.
    var labelDepth: Float { surfaceOffset.map { Float($0) } ?? build.labelDepth }

    /// Share of frames whose fingers bend independently of each other, by no gesture.
    var freeShare: Float { model == .varied ? 0.35 : 0.08 }
    /// Share of hands that are turned far away from the camera.
    var turnedShare: Float { model == .varied ? 0.16 : 0.05 }
    /// Standard deviation along each axis of a digit's shift, and of each of its joints' beside that, mm.
    var displacement: Float { model == .varied ? 2 * Float(variation) : 0 }
}

/// What the kinds of hands differ in: numbers alone.
struct HandBuild: Sendable {
    /// How much nearer to the camera than the bones a label's d is, mm, at the same u and v.
    let labelDepth: Float
    /// Factor of all flesh radii.
    let flesh: Float
    /// Where forearms point to, camera space; random hands' vary by `forearmDeviation` in x and z.
    let forearm: Vector3
    let forearmDeviation: Float
    /// Weight of that direction beside the hand's own.
    let forearmTurn: Float
    /// Cosine of the most that a wrist bends.
    let wristCosine: Float
    /// Radius of the forearm's strands at the wrist and at the elbow, and their distances from its middle there, mm.
    let forearmRadii: (wrist: Float, elbow: Float)
    let forearmStrands: (wrist: Float, elbow: Float)
    /// The surface ends so far behind the palm joint, mm: `cut` and `cutShare` of a random reach from 35 to 150 mm.
    let cut: Float
    let cutShare: Float
    /// And no nearer than this behind the deepest joint, mm.
    let behindDeepest: Float

    static let first = HandBuild(
        labelDepth: 0, flesh: 1, forearm: Vector3(0.12, 0.5, 0.85), forearmDeviation: 0.12, forearmTurn: 2, wristCosine: 0.643,
        forearmRadii: (11.5, 19), forearmStrands: (11, 18), cut: 0, cutShare: 1, behindDeepest: 20)

    /// Fitted to the real centres of mass (whole frame, d at most 500 mm) of ICVL's test sequence 1 around its real joints, in y and z; in
    /// x to both sequences, as they differ by 13 mm there whatever the pose. Scripts/centres.sh tells how well.
    static let icvl = HandBuild(
        labelDepth: 10, flesh: 0.95, forearm: Vector3(0.62, 0.35, 1), forearmDeviation: 0.15, forearmTurn: 5.5, wristCosine: 0.14,
        forearmRadii: (10.5, 18), forearmStrands: (11, 18), cut: 76, cutShare: 0.4, behindDeepest: 25)
}
