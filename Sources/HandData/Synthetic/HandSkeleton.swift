/// The articulations of one hand as points in mm; in the hand's frame (see `HandAnatomy`) or in camera space.
struct HandSkeleton {
    /// Four points a digit: base, two articulations, end of the bone chain; digits thumb to pinky.
    var points: [20 of Vector3]
    /// The 16 ICVL joints.
    var joints: [16 of Vector3]
    var wrist: Vector3
    /// End of the visible forearm.
    var elbow: Vector3
    /// Unit axes of the hand: towards the pinky, towards the fingers, out of the palm.
    var across: Vector3
    var along: Vector3
    var outward: Vector3
    /// Size of the hand relative to the model's.
    var scale: Float
    /// Radius of its flesh relative to the model's.
    var girth: Float

    /// Rotates about the hand's origin, then moves the origin to `origin`: the columns of the rotation are the hand's axes in camera space.
    mutating func place(across: Vector3, along: Vector3, outward: Vector3, origin: Vector3) {
        func placed(_ point: Vector3) -> Vector3 {
            across * point.x + along * point.y + outward * point.z + origin
        }
        for point in 0..<20 { points[point] = placed(points[point]) }
        for joint in 0..<16 { joints[joint] = placed(joints[joint]) }
        wrist = placed(wrist)
        elbow = placed(elbow)
        (self.across, self.along, self.outward) = (across, along, outward)
    }
}

/// Forward kinematics: a hand of given angles and sizes, in its own frame.
extension HandSkeleton {
    /// - Parameters:
    ///   - pose: the angles.
    ///   - scale: size of the hand, 1 for the model's.
    ///   - lengths: relative length of each digit, thumb to pinky.
    ///   - girth: relative radius of the flesh.
    init(pose: borrowing HandPose, scale: Float, lengths: [5 of Float], girth: Float) {
        self.scale = scale
        self.girth = girth
        points = [20 of Vector3](repeating: Vector3())
        joints = [16 of Vector3](repeating: Vector3())
        wrist = HandAnatomy.wrist * scale
        elbow = wrist - Vector3(0, HandAnatomy.forearmLength * scale, 0)
        across = Vector3(1, 0, 0)
        along = Vector3(0, 1, 0)
        outward = Vector3(0, 0, 1)

        setThumb(pose.thumb, length: lengths[0])
        for digit in 1..<5 {
            let finger = pose.fingers[digit - 1]
            // A flexed knuckle's collateral ligaments are taut: the fingers can no longer be spread.
            let freedom = 1 - 0.8 * (finger.metacarpophalangeal / 90).clamped(to: 0...1)
            let (sideways, forward) = sineAndCosine((HandAnatomy.restSplay[digit] + finger.abduction * freedom).degrees)
            let extended = Vector3(sideways, forward, 0)
            setDigit(
                digit, extended: extended, volar: Vector3(0, 0, 1),
                flexion: Vector3(
                    finger.metacarpophalangeal, finger.metacarpophalangeal + finger.proximal,
                    finger.metacarpophalangeal + finger.proximal + finger.distal),
                length: lengths[digit], labelOffset: HandAnatomy.labelVolarOffset)
        }
    }

    /// Sets the thumb's points and labels; also called alone, while its angles are searched.
    mutating func setThumb(_ thumb: HandPose.Thumb, length: Float) {
        let (radialSine, radialCosine) = sineAndCosine(thumb.radialAbduction.degrees)
        let (palmarSine, palmarCosine) = sineAndCosine(thumb.palmarAbduction.degrees)
        let (pronationSine, pronationCosine) = sineAndCosine(thumb.pronation.degrees)
        let metacarpal = Vector3(-radialSine * palmarCosine, radialCosine * palmarCosine, palmarSine)
        // The pulp faces the other fingers, and the palm the more the thumb is pronated.
        let rest = Vector3(1, 0.2, -0.25).perpendicular(to: metacarpal).normalized()
        let side = metacarpal.cross(rest)
        let volar = rest * pronationCosine + side * pronationSine
        setDigit(
            0, extended: metacarpal, volar: volar,
            flexion: Vector3(
                0, thumb.metacarpophalangeal, thumb.metacarpophalangeal + thumb.interphalangeal),
            length: length, labelOffset: 0)
    }

    /// One planar chain of three bones: each leaves `extended` towards `volar` by its own total flexion in degrees.
    private mutating func setDigit(
        _ digit: Int, extended: Vector3, volar: Vector3, flexion: Vector3, length: Float, labelOffset: Float
    ) {
        let bones = HandAnatomy.phalanges[digit] * (scale * length)
        var point = HandAnatomy.bases[digit] * scale
        points[4 * digit] = point
        for bone in 0..<3 {
            let (sine, cosine) = sineAndCosine(flexion[bone].degrees)
            let direction = extended * cosine + volar * sine
            let normal = volar * cosine - extended * sine
            joints[1 + 3 * digit + bone] =
                point + direction * (bones[bone] * HandAnatomy.labelFractions[digit][bone]) + normal * (labelOffset * scale)
            point += direction * bones[bone]
            points[4 * digit + bone + 1] = point
        }
    }
}
