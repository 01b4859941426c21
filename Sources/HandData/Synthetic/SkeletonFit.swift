extension HandSkeleton {
    /// A skeleton around given ICVL joints (camera space, mm).
    ///
    /// Labels are the middles of phalanges, so articulations are estimated between them: each lies off the chord of its two
    /// labels, on the outside of the bend. The fingertip continues the last bone. Exact for straight fingers.
    /// - Parameter joints: in the bones, not where labels are.
    init(joints: [16 of Vector3], build: HandBuild) {
        self.joints = joints
        let palm = joints[0]
        let towardsFingers = (joints[7] + joints[10]) * 0.5 - palm
        along = towardsFingers.normalized(or: Vector3(0, -1, 0))
        across = (joints[13] - joints[4]).perpendicular(to: along).normalized(or: Vector3(1, 0, 0))
        outward = across.cross(along)

        // Size: how far the finger roots lie from the palm, against the model's open hand.
        var reach: Float = 0
        for digit in 1..<5 { reach += (joints[1 + 3 * digit] - palm).length }
        scale = (reach / Self.modelReach).clamped(to: 0.6...1.6)
        girth = build.flesh
        points = [20 of Vector3](repeating: palm)
        wrist = palm
        elbow = palm
        wrist = placed(HandAnatomy.wrist)

        for digit in 0..<5 {
            let bones = HandAnatomy.phalanges[digit]
            let fractions = HandAnatomy.labelFractions[digit]
            let labels = (joints[1 + 3 * digit], joints[2 + 3 * digit], joints[3 + 3 * digit])
            let base: Vector3
            if digit == 0 {
                base = placed(HandAnatomy.bases[0])
            } else {
                // The knuckle: the model's, moved so that the proximal phalanx keeps about its length to the label.
                let model = placed(HandAnatomy.bases[digit])
                let half = bones.x * fractions.x * scale
                base = labels.0 + (model - labels.0).normalized(or: -along) * half
            }
            let inner = Self.articulation(
                labels.0, labels.1, before: labels.0 - base, after: labels.2 - labels.1,
                share: bones.x * (1 - fractions.x) / (bones.x * (1 - fractions.x) + bones.y * fractions.y))
            let lastShare = bones.y * (1 - fractions.y) / (bones.y * (1 - fractions.y) + bones.z * fractions.z)
            let outer = Self.articulation(
                labels.1, labels.2, before: labels.1 - inner, after: labels.2 - labels.1, share: lastShare)
            points[4 * digit] = base
            points[4 * digit + 1] = inner
            points[4 * digit + 2] = outer
            points[4 * digit + 3] =
                labels.2 + (labels.2 - outer).normalized(or: along) * (bones.z * (1 - fractions.z) * scale)
        }
        extendForearm(towards: build.forearm, build)
    }

    /// Sum over the fingers of the distance from palm to root label, mm, in the model's open hand.
    private static let modelReach: Float = (1..<5).reduce(0) { sum, digit in
        let (sine, cosine) = sineAndCosine(HandAnatomy.restSplay[digit].degrees)
        let half = HandAnatomy.phalanges[digit].x * HandAnatomy.labelFractions[digit].x
        return sum + (HandAnatomy.bases[digit] + Vector3(sine, cosine, 0) * half).length
    }

    /// A point of the hand's own frame at the model's size, in camera space.
    private func placed(_ point: Vector3) -> Vector3 {
        joints[0] + (across * point.x + along * point.y + outward * point.z) * scale
    }

    /// The articulation between two labels: on their chord at `share`, pushed outwards by the bend of the neighbouring bones.
    private static func articulation(
        _ first: Vector3, _ second: Vector3, before: Vector3, after: Vector3, share: Float
    ) -> Vector3 {
        let chord = second - first
        let bend = before.normalized(or: chord) - after.normalized(or: chord)
        return interpolate(first, second, share) + bend * (0.25 * chord.length)
    }
}
