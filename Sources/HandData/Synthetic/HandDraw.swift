import System

/// Draws hands: gesture, angles, sizes, place and orientation.
///
/// The distributions are fitted to the ICVL test labels (1596 frames): the palm's depth has two modes (the data set's two test sequences);
/// further hands are further right and higher; hands lean left more often than right; fingers tip towards the camera by 12 degrees.
enum HandDraw {
    /// Where the joints of the real test labels lie, pixels, pixels (at 320 x 240) and mm.
    static let lowestLabel = Vector3(45, 45, 190)
    static let highestLabel = Vector3(247, 210, 453)

    private static let referenceCamera = HandCamera(width: 320, height: 240)

    /// Where the joints of hands that point anywhere may lie.
    private static let lowestAnywhere = Vector3(8, 8, 150)
    private static let highestAnywhere = Vector3(312, 232, 570)

    /// A hand in front of a 320 x 240 camera, all of its joints within the bounds of the real labels, and its angles. One that may point
    /// anywhere keeps within the frame instead.
    static func draw(_ random: inout SequentialRandom, _ style: HandStyle) -> (skeleton: HandSkeleton, pose: HandPose) {
        for _ in 0..<40 {
            var hand = drawOnce(&random, style)
            // The thumb crosses beyond the pinky in 0.3% of the real frames only.
            let crossed = style.views == .palm && hand.skeleton.joints[3].x > hand.skeleton.joints[15].x
            if crossed && random.chance(0.7) { continue }
            if style.directions == .any { hand.skeleton.turnInPicture(by: random.uniform(-180...180)) }
            if style.model == .varied && !showsPalm(hand.skeleton) { continue }
            if isWithinBounds(hand.skeleton, style) { return hand }
        }
        return fallback(&random, style)
    }

    /// Whether palm and finger roots lie apart in the picture. Where fingers point at the camera, a frame holds pieces of surface and no hand
    /// that `CentreOfMass` would find.
    private static func showsPalm(_ skeleton: HandSkeleton) -> Bool {
        let roots = (skeleton.joints[4] + skeleton.joints[7] + skeleton.joints[10] + skeleton.joints[13]) * 0.25
        let difference = referenceCamera.project(roots) - referenceCamera.project(skeleton.joints[0])
        let millimetres = Vector3(difference.x, difference.y, 0) * (skeleton.joints[0].z / referenceCamera.focalX)
        return millimetres.length > 25 * skeleton.scale
    }

    private static func isWithinBounds(_ skeleton: HandSkeleton, _ style: HandStyle) -> Bool {
        let (lowest, highest) = style.directions == .any ? (lowestAnywhere, highestAnywhere) : (lowestLabel, highestLabel)
        for joint in 0..<16 {
            var label = referenceCamera.project(skeleton.joints[joint])
            label.z -= style.labelDepth
            if any(label .< lowest) || any(label .> highest) { return false }
        }
        return true
    }

    private static func drawOnce(
        _ random: inout SequentialRandom, _ style: HandStyle
    ) -> (skeleton: HandSkeleton, pose: HandPose) {
        let wide = Float(style.variation)
        let gesture = HandGesture.draw(&random, freeShare: style.freeShare)
        var pose = HandPose(gesture, &random)
        let scale = random.gaussian(1, 0.035 * wide, within: (1 - 0.1 * wide)...(1 + 0.1 * wide))
        var lengths = [5 of Float](repeating: 1)
        for digit in 0..<5 { lengths[digit] = random.gaussian(1, 0.02 * wide, within: (1 - 0.06 * wide)...(1 + 0.06 * wide)) }
        let girth = random.gaussian(1, 0.06 * wide, within: (1 - 0.14 * wide)...(1 + 0.16 * wide)) * style.build.flesh
        var skeleton = HandSkeleton(pose: pose, scale: scale, lengths: lengths, girth: girth)
        skeleton.settleThumb(&pose.thumb, for: gesture, length: lengths[0])
        place(&skeleton, &random, style)
        if style.displacement > 0 { displace(&skeleton, &random, style) }
        return (skeleton, pose)
    }

    /// Places a hand before the camera and lets its forearm leave it.
    private static func place(_ skeleton: inout HandSkeleton, _ random: inout SequentialRandom, _ style: HandStyle) {
        let build = style.build
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
        if random.chance(style.turnedShare) {
            // Some hands are turned far away from the camera.
            roll = random.gaussian(roll, 18)
            pitch = random.gaussian(pitch, 18)
            yaw = random.gaussian(yaw, 18)
        }
        yaw = yaw.clamped(to: -40...45)
        if style.views == .all && random.chance(0.5) {
            yaw = random.uniform(-180...180)
            pitch = random.gaussian(pitch, 18)
        }
        turn(
            &skeleton, roll: roll.clamped(to: -60...30), pitch: pitch.clamped(to: -60...35), yaw: yaw,
            palm: referenceCamera.unproject(Vector3(u, v, depth + style.labelDepth)))
        drawForearm(&skeleton, &random, build)
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

    /// Moves digits and joints off their places, and builds the hand anew around them: proportions that no factor of the model gives.
    private static func displace(_ skeleton: inout HandSkeleton, _ random: inout SequentialRandom, _ style: HandStyle) {
        let amount = style.displacement
        func shift(_ random: inout SequentialRandom) -> Vector3 {
            Vector3(random.gaussian(0, amount), random.gaussian(0, amount), random.gaussian(0, amount))
        }
        var joints = skeleton.joints
        joints[0] = joints[0] + shift(&random)
        for digit in 0..<5 {
            let common = shift(&random)
            for joint in (1 + 3 * digit)...(3 + 3 * digit) { joints[joint] = joints[joint] + common + shift(&random) }
        }
        let girth = skeleton.girth
        skeleton = HandSkeleton(joints: joints, build: style.build)
        skeleton.girth = girth
        drawForearm(&skeleton, &random, style.build)
    }

    /// The forearm leaves downwards and away from the camera, within what the wrist allows.
    private static func drawForearm(_ skeleton: inout HandSkeleton, _ random: inout SequentialRandom, _ build: HandBuild) {
        let (mean, deviation) = (build.forearm, build.forearmDeviation)
        let towardsElbow = Vector3(random.gaussian(mean.x, deviation), mean.y, random.gaussian(mean.z, deviation))
        skeleton.extendForearm(towards: towardsElbow, build)
    }

    /// An open hand in the middle of the bounds: what a draw that keeps failing falls back to.
    private static func fallback(
        _ random: inout SequentialRandom, _ style: HandStyle
    ) -> (skeleton: HandSkeleton, pose: HandPose) {
        var pose = HandPose(HandGesture.all[0], &random)
        let lengths = [5 of Float](repeating: 1)
        var skeleton = HandSkeleton(pose: pose, scale: 0.95, lengths: lengths, girth: style.build.flesh)
        skeleton.settleThumb(&pose.thumb, for: HandGesture.all[0], length: 1)
        turn(&skeleton, roll: 0, pitch: -8, yaw: 5, palm: Vector3(10, 35, 380))
        drawForearm(&skeleton, &random, style.build)
        return (skeleton, pose)
    }
}

extension HandSkeleton {
    /// Sets the elbow: in direction `target` (camera space), as far as the wrist turns: most of the way from the hand's own
    /// direction, at most as far off it as a wrist bends.
    mutating func extendForearm(towards target: Vector3, _ build: HandBuild) {
        let straight = -along
        var direction = (straight + target.normalized() * build.forearmTurn).normalized(or: straight)
        let cosine = direction.dot(straight)
        let limit = build.wristCosine
        if cosine < limit {
            let aside = direction.perpendicular(to: straight).normalized(or: across)
            direction = straight * limit + aside * (1 - limit * limit).squareRoot()
        }
        elbow = wrist + direction * (HandAnatomy.forearmLength * scale)
    }

    /// Turns everything about the line of depth through the palm joint, clockwise in the picture, degrees.
    mutating func turnInPicture(by angle: Float) {
        let (sine, cosine) = sineAndCosine(angle.degrees)
        let palm = joints[0]
        func turned(_ direction: Vector3) -> Vector3 {
            Vector3(cosine * direction.x - sine * direction.y, sine * direction.x + cosine * direction.y, direction.z)
        }
        for point in 0..<20 { points[point] = palm + turned(points[point] - palm) }
        for joint in 0..<16 { joints[joint] = palm + turned(joints[joint] - palm) }
        wrist = palm + turned(wrist - palm)
        elbow = palm + turned(elbow - palm)
        (across, along, outward) = (turned(across), turned(along), turned(outward))
    }
}
