extension DepthBuffer {
    /// Draws the flesh of a hand in camera space: fingers and thumb, palm, webs between them, forearm; nothing beyond `farthest` mm.
    func draw(_ hand: borrowing HandSkeleton, _ build: HandBuild, farthest: Float) {
        let thickness = hand.scale * hand.girth
        drawDigits(hand, thickness, farthest)
        drawPalm(hand, thickness, farthest)
        drawThumbWeb(hand, thickness, farthest)
        drawForearm(hand, build, thickness, farthest)
    }

    private func drawDigits(_ hand: borrowing HandSkeleton, _ thickness: Float, _ farthest: Float) {
        for digit in 0..<5 {
            let radii = HandAnatomy.radii[digit] * thickness
            for bone in 0..<3 {
                draw(
                    from: hand.points[4 * digit + bone], radius: radii[bone], to: hand.points[4 * digit + bone + 1],
                    radius: radii[bone + 1], farthest: farthest)
            }
        }
    }

    /// The palm: a fan of close capsules from the wrist to the row of knuckles, the balls of thumb and pinky, the pads between the fingers.
    private func drawPalm(_ hand: borrowing HandSkeleton, _ thickness: Float, _ farthest: Float) {
        let size = hand.scale
        let wrist = hand.wrist
        for rib in 0..<7 {
            let knuckle = Float(rib) * 0.5  // 0 index ... 3 pinky
            let digit = min(Int(knuckle), 2) + 1
            let end = interpolate(hand.points[4 * digit], hand.points[4 * digit + 4], knuckle - Float(digit - 1))
            let start = wrist + hand.across * ((knuckle - 1.5) * 9 * size)
            draw(
                from: start, radius: 11 * thickness, to: end, radius: (9.4 - 0.4 * knuckle) * thickness, farthest: farthest)
        }
        // Ball of the pinky (hypothenar).
        let pinky = hand.points[16]
        draw(
            from: wrist + (hand.across * 15 + hand.along * 12 + hand.outward * 5) * size, radius: 11.5 * thickness,
            to: interpolate(wrist, pinky, 0.85) + (hand.across * 3 + hand.outward * 3) * size, radius: 9.5 * thickness,
            farthest: farthest)
        // Pads at the roots of the fingers close the gaps between neighbours.
        for digit in 1..<4 {
            let left = interpolate(hand.points[4 * digit], hand.points[4 * digit + 1], 0.4)
            let right = interpolate(hand.points[4 * digit + 4], hand.points[4 * digit + 5], 0.42)
            draw(from: left, radius: 7.2 * thickness, to: right, radius: 6.8 * thickness, farthest: farthest)
        }
    }

    /// The ball of the thumb and the skin between thumb and index finger.
    private func drawThumbWeb(_ hand: borrowing HandSkeleton, _ thickness: Float, _ farthest: Float) {
        let base = hand.points[0]
        let knuckle = hand.points[1]
        let index = hand.points[4]
        let inner = interpolate(hand.wrist, interpolate(index, hand.points[8], 0.5), 0.36) + hand.outward * (2 * hand.scale)
        draw(
            from: interpolate(base, hand.wrist, 0.4), radius: 9.5 * thickness, to: interpolate(base, knuckle, 0.6),
            radius: 10.8 * thickness, farthest: farthest)
        for fold in 0..<5 {
            let share = Float(fold) / 4
            let onThumb = interpolate(base, knuckle, 0.2 + 0.68 * share)
            let onPalm = interpolate(inner, interpolate(hand.wrist, index, 0.86), share)
            draw(
                from: onThumb, radius: (10.5 - 4 * share) * thickness, to: onPalm, radius: (10 - 2.5 * share) * thickness,
                farthest: farthest)
        }
    }

    /// The forearm: as wide as the wrist at first, wider towards the elbow, twice as wide as thick.
    private func drawForearm(_ hand: borrowing HandSkeleton, _ build: HandBuild, _ thickness: Float, _ farthest: Float) {
        let (radii, strands) = (build.forearmRadii, build.forearmStrands)
        let direction = (hand.elbow - hand.wrist).normalized(or: -hand.along)
        let side = hand.across.perpendicular(to: direction).normalized(or: Vector3(1, 0, 0))
        for strand in -1...1 {
            let offset = side * (Float(strand) * hand.scale)
            draw(
                from: hand.wrist + offset * strands.wrist, radius: radii.wrist * thickness, to: hand.elbow + offset * strands.elbow,
                radius: radii.elbow * thickness, farthest: farthest)
        }
    }
}
