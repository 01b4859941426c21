import Tensors

/// Draws hands: gesture, angles, sizes, place and orientation.
///
/// The distributions are fitted to the ICVL test labels (1596 frames): the palm's depth has two modes (the data set's two test sequences);
/// further hands are further right and higher; hands lean left more often than right; fingers tip towards the camera by 12 degrees.
enum HandDraw {
    /// Where the joints of the real test labels lie, pixels, pixels (at 320 x 240) and mm.
    static let lowestLabel = Vector3(45, 45, 190)
    static let highestLabel = Vector3(247, 210, 453)

    private static let referenceCamera = HandCamera(width: 320, height: 240)

    /// A hand in front of a 320 x 240 camera, all of its joints within the bounds of the real labels, and its angles.
    static func draw(_ random: inout SequentialRandom) -> (skeleton: HandSkeleton, pose: HandPose) {
        for _ in 0..<40 {
            let hand = drawOnce(&random)
            // The thumb crosses beyond the pinky in 0.3% of the real frames only.
            let crossed = hand.skeleton.joints[3].x > hand.skeleton.joints[15].x
            if crossed && random.chance(0.7) { continue }
            if isWithinBounds(hand.skeleton) { return hand }
        }
        return fallback(&random)
    }

    private static func isWithinBounds(_ skeleton: HandSkeleton) -> Bool {
        for joint in 0..<16 {
            let label = referenceCamera.project(skeleton.joints[joint])
            if any(label .< lowestLabel) || any(label .> highestLabel) { return false }
        }
        return true
    }

    private static func drawOnce(_ random: inout SequentialRandom) -> (skeleton: HandSkeleton, pose: HandPose) {
        let gesture = HandGesture.draw(&random)
        var pose = HandPose(gesture, &random)
        let scale = random.gaussian(1, 0.035, within: 0.9...1.1)
        var lengths = [5 of Float](repeating: 1)
        for digit in 0..<5 { lengths[digit] = random.gaussian(1, 0.02, within: 0.94...1.06) }
        let girth = random.gaussian(1, 0.06, within: 0.86...1.16)
        var skeleton = HandSkeleton(pose: pose, scale: scale, lengths: lengths, girth: girth)
        skeleton.settleThumb(&pose.thumb, for: gesture, length: lengths[0])
        place(&skeleton, &random)
        return (skeleton, pose)
    }

    /// Places a hand before the camera and lets its forearm leave it.
    private static func place(_ skeleton: inout HandSkeleton, _ random: inout SequentialRandom) {
        let depth =
            random.chance(0.44)
            ? random.gaussian(405, 9, within: 375...430) : random.gaussian(324, 29, within: 270...415)
        let far = (depth - 361) / 43.7
        let u = random.gaussian(166.8 + 18 * far, 17, within: 115...210)
        let v = random.gaussian(138.4 - 4.8 * far, 7, within: 115...175)
        let aside = (u - 166.8 - 18 * far) / 17
        // Leaning: skewed to the left, as an elbow allows.
        var lean = random.gaussian(0, 11)
        lean = lean < 0 ? lean * 1.25 + 2 : lean * 0.7 + 2
        var roll = -8.7 + 6.8 * far + 6 * aside + lean
        var pitch = random.gaussian(-12.4 + 3.6 * far, 10)
        var yaw = random.gaussian(8.7 - 1.2 * far, 7.8)
        if random.chance(0.05) {
            // Some hands are turned far away from the camera.
            roll = random.gaussian(roll, 18)
            pitch = random.gaussian(pitch, 18)
            yaw = random.gaussian(yaw, 18)
        }
        turn(
            &skeleton, roll: roll.clamped(to: -60...30), pitch: pitch.clamped(to: -60...35),
            yaw: yaw.clamped(to: -40...45), palm: referenceCamera.unproject(Vector3(u, v, depth)))
        drawForearm(&skeleton, &random)
    }

    /// Places the palm joint at `palm`, the fingers leaning right by `roll`, away from the camera by `pitch`, and the pinky's
    /// side away from the camera by `yaw` (degrees).
    private static func turn(_ skeleton: inout HandSkeleton, roll: Float, pitch: Float, yaw: Float, palm: Vector3) {
        let (rollSine, rollCosine) = sineAndCosine(roll.degrees)
        let (pitchSine, pitchCosine) = sineAndCosine(pitch.degrees)
        let (yawSine, yawCosine) = sineAndCosine(yaw.degrees)
        let along = Vector3(pitchCosine * rollSine, -pitchCosine * rollCosine, pitchSine)
        let level = Vector3(rollCosine, rollSine, 0)
        let across = level * yawCosine - level.cross(along) * yawSine
        skeleton.place(across: across, along: along, outward: across.cross(along), origin: palm)
    }

    /// The forearm leaves downwards and away from the camera, within what the wrist allows.
    private static func drawForearm(_ skeleton: inout HandSkeleton, _ random: inout SequentialRandom) {
        let towardsElbow = Vector3(random.gaussian(0.12, 0.12), 0.5, random.gaussian(0.85, 0.12))
        skeleton.extendForearm(towards: towardsElbow)
    }

    /// An open hand in the middle of the bounds: what a draw that keeps failing falls back to.
    private static func fallback(_ random: inout SequentialRandom) -> (skeleton: HandSkeleton, pose: HandPose) {
        var pose = HandPose(HandGesture.all[0], &random)
        let lengths = [5 of Float](repeating: 1)
        var skeleton = HandSkeleton(pose: pose, scale: 0.95, lengths: lengths, girth: 1)
        skeleton.settleThumb(&pose.thumb, for: HandGesture.all[0], length: 1)
        turn(&skeleton, roll: 0, pitch: -8, yaw: 5, palm: Vector3(10, 35, 380))
        drawForearm(&skeleton, &random)
        return (skeleton, pose)
    }
}

extension HandSkeleton {
    /// Sets the elbow: in direction `target` (camera space), as far as the wrist turns: most of the way from the hand's own
    /// direction, at most 50 degrees off it.
    mutating func extendForearm(towards target: Vector3) {
        let straight = -along
        var direction = (straight + target.normalized() * 2).normalized(or: straight)
        let cosine = direction.dot(straight)
        let limit: Float = 0.643  // cos 50 degrees
        if cosine < limit {
            let aside = direction.perpendicular(to: straight).normalized(or: across)
            direction = straight * limit + aside * (1 - limit * limit).squareRoot()
        }
        elbow = wrist + direction * (HandAnatomy.forearmLength * scale)
    }
}
