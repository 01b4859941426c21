extension HandPose.Thumb {
    private subscript(angle: Int) -> Float {
        get {
            switch angle {
            case 0: radialAbduction
            case 1: palmarAbduction
            case 2: pronation
            case 3: metacarpophalangeal
            default: interphalangeal
            }
        }
        set {
            switch angle {
            case 0: radialAbduction = newValue.clamped(to: HandPose.radialAbductionLimits)
            case 1: palmarAbduction = newValue.clamped(to: HandPose.palmarAbductionLimits)
            case 2: pronation = newValue.clamped(to: HandPose.pronationLimits)
            case 3: metacarpophalangeal = newValue.clamped(to: HandPose.thumbMetacarpophalangealLimits)
            default: interphalangeal = newValue.clamped(to: HandPose.interphalangealLimits)
            }
        }
    }

    /// Lowers `cost` by changing one angle at a time in shrinking steps, within the limits.
    ///
    /// - Complexity: about 80 evaluations of `cost`.
    mutating func minimise(_ cost: (HandPose.Thumb) -> Float) {
        var best = cost(self)
        var step: Float = 16
        while step > 1 {
            for attempt in 0..<20 {
                // Each of the five angles up and down, twice.
                var trial = self
                trial[attempt / 2 % 5] += attempt & 1 == 0 ? step : -step
                let value = cost(trial)
                if value < best {
                    best = value
                    self = trial
                }
            }
            step *= 0.5
        }
    }
}

extension HandSkeleton {
    /// Moves the thumb out of the fingers' flesh and, for a gesture in which it meets a fingertip, its pulp onto that tip.
    ///
    /// The hand is in its own frame. The points of the thumb and its labels change; so does `thumb`.
    mutating func settleThumb(_ thumb: inout HandPose.Thumb, for gesture: HandGesture, length: Float) {
        let initial = thumb
        var trial = self
        let touch: Float = (HandAnatomy.radii[0].w + HandAnatomy.radii[1].w) * scale * girth
        // First point of the first folded finger; a gesture with the thumb over the fingers folds its neighbour too.
        let folded = gesture.curls[0] > 0.9 ? 4 : gesture.curls[1] > 0.9 ? 8 : 12
        func cost(_ candidate: HandPose.Thumb) -> Float {
            trial.setThumb(candidate, length: length)
            var sum = trial.thumbPenetration() * 4
            switch gesture.thumb {
            case .meets(let digit):
                let gap = (trial.points[3] - trial.points[4 * digit + 3]).length - touch
                sum += gap * gap
            case .over:
                // In front of the middle phalanges of two folded fingers.
                let target =
                    (points[folded + 1] + points[folded + 2]) * 0.3 + (points[folded + 5] + points[folded + 6]) * 0.2
                    + Vector3(0, 0, touch * 0.95)
                let gap = trial.points[3] - target
                sum += gap.dot(gap) * 0.5
            case .out, .rested, .across: break
            }
            let change = SIMD4(
                candidate.radialAbduction - initial.radialAbduction, candidate.palmarAbduction - initial.palmarAbduction,
                candidate.metacarpophalangeal - initial.metacarpophalangeal,
                candidate.interphalangeal - initial.interphalangeal)
            return sum + 0.004 * (change * change).sum()
        }
        switch gesture.thumb {
        case .meets, .over: break
        case .out, .rested, .across: if thumbPenetration() == 0 { return }
        }
        thumb.minimise(cost)
        setThumb(thumb, length: length)
    }

    /// Sum of squared depths, mm2, by which the thumb's two outer bones stand in the flesh of the fingers or of the knuckles.
    private func thumbPenetration() -> Float {
        var sum: Float = 0
        let girth = scale * girth
        for sample in 0..<5 {
            let along = Float(sample) * 0.5
            let bone = min(Int(along), 1)
            let point = interpolate(points[1 + bone], points[2 + bone], along - Float(bone))
            let radius = HandAnatomy.radii[0][bone + 1] * girth
            for digit in 1..<5 {
                for phalanx in 0..<3 {
                    let start = points[4 * digit + phalanx]
                    let axis = points[4 * digit + phalanx + 1] - start
                    let position = ((point - start).dot(axis) / axis.dot(axis)).clamped(to: 0...1)
                    let apart = (point - interpolate(start, points[4 * digit + phalanx + 1], position)).length
                    // Flesh gives way a little.
                    let room = apart - 0.85 * (radius + HandAnatomy.radii[digit][phalanx] * girth)
                    if room < 0 { sum += room * room }
                }
                // The palm itself, a slab between wrist and knuckles.
                if point.x > -22 * scale && point.y < 30 * scale && point.y > -40 * scale {
                    let room = point.z - (7 * scale + 0.85 * radius)
                    if room < 0 && digit == 1 { sum += room * room }
                }
            }
        }
        return sum
    }
}
