import System

/// What a hand is doing: how far each finger is bent, and what the thumb is for.
struct HandGesture {
    /// What the thumb does.
    enum Thumb {
        /// Away from the palm, nearly straight.
        case out
        /// Beside the index finger, relaxed.
        case rested
        /// Bent across the palm.
        case across
        /// Over the folded fingers.
        case over
        /// Its pulp on the tip of a digit (1 index ... 4 pinky).
        case meets(Int)
    }

    /// How far index to pinky are bent: 0 extended, 1 folded into the palm.
    let curls: SIMD4<Float>
    let thumb: Thumb
    /// Share of the frames, before scaling to a sum of 1.
    let weight: Float

    /// Counting, pointing, pinching and the like. Most ICVL frames show extended fingers, 44% have at least one folded, most
    /// often middle and ring; the weights follow.
    static let all: [HandGesture] = [
        HandGesture(curls: SIMD4(0, 0, 0, 0), thumb: .rested, weight: 20),
        HandGesture(curls: SIMD4(0, 0, 0, 0), thumb: .out, weight: 14),
        HandGesture(curls: SIMD4(0.08, 0.1, 0.12, 0.08), thumb: .rested, weight: 9),
        HandGesture(curls: SIMD4(0, 0, 0, 0), thumb: .across, weight: 6),  // four
        HandGesture(curls: SIMD4(0.25, 0.3, 0.33, 0.3), thumb: .rested, weight: 3),
        HandGesture(curls: SIMD4(0.4, 0.45, 0.5, 0.45), thumb: .out, weight: 2),  // claw
        HandGesture(curls: SIMD4(1, 1, 1, 1), thumb: .over, weight: 3),  // fist
        HandGesture(curls: SIMD4(1, 1, 1, 1), thumb: .out, weight: 3),  // thumb up
        HandGesture(curls: SIMD4(0, 1, 1, 1), thumb: .over, weight: 3),  // one
        HandGesture(curls: SIMD4(0, 1, 1, 1), thumb: .out, weight: 2),  // pistol
        HandGesture(curls: SIMD4(0, 0, 1, 1), thumb: .over, weight: 3),  // two
        HandGesture(curls: SIMD4(0, 0, 0, 1), thumb: .rested, weight: 4),  // three
        HandGesture(curls: SIMD4(0, 1, 1, 0), thumb: .out, weight: 5),  // horns
        HandGesture(curls: SIMD4(0, 1, 1, 0), thumb: .over, weight: 2),
        HandGesture(curls: SIMD4(1, 1, 1, 0), thumb: .out, weight: 4),  // telephone
        HandGesture(curls: SIMD4(0, 0, 1, 0), thumb: .rested, weight: 5),
        HandGesture(curls: SIMD4(0, 1, 0, 0), thumb: .rested, weight: 3),
        HandGesture(curls: SIMD4(1, 0, 0, 0), thumb: .rested, weight: 3),
        HandGesture(curls: SIMD4(0.36, 0.05, 0.05, 0), thumb: .meets(1), weight: 4),  // "OK"
        HandGesture(curls: SIMD4(0.36, 0.6, 0.75, 0.75), thumb: .meets(1), weight: 3),  // pinch
        HandGesture(curls: SIMD4(0, 0.42, 0, 0), thumb: .meets(2), weight: 2),
        HandGesture(curls: SIMD4(0, 0, 0.5, 0), thumb: .meets(3), weight: 2),
        HandGesture(curls: SIMD4(0, 0, 0.1, 0.55), thumb: .meets(4), weight: 1),
    ]

    private static let totalWeight: Float = all.reduce(0) { $0 + $1.weight }

    /// Draws a gesture; of `freeShare` of the frames the fingers bend independently of each other.
    static func draw(_ random: inout SequentialRandom, freeShare: Float) -> HandGesture {
        if random.chance(freeShare) {
            var curls = SIMD4<Float>()
            for finger in 0..<4 {
                let fraction = random.uniform()
                curls[finger] = fraction * fraction
            }
            return HandGesture(curls: curls, thumb: random.chance(0.5) ? .rested : .out, weight: 0)
        }
        var position = random.uniform() * totalWeight
        for gesture in all {
            position -= gesture.weight
            if position < 0 { return gesture }
        }
        return all[0]
    }
}

extension HandPose {
    /// Angles for a gesture, each finger with its own variation, within the anatomical limits.
    init(_ gesture: HandGesture, _ random: inout SequentialRandom) {
        let resting = Finger(abduction: 0, metacarpophalangeal: 0, proximal: 0, distal: 0)
        fingers = [4 of Finger](repeating: resting)
        let openness = random.gaussian(0, 1)
        // What all fingers share: a hand is held more or less relaxed.
        let relaxation = abs(random.gaussian(0, 6))
        let fanning = SIMD4<Float>(-5, -1.5, 1.5, 6)
        for finger in 0..<4 {
            let curl = gesture.curls[finger]
            let folded = curl > 0.9
            let metacarpophalangeal: Float
            let proximal: Float
            if folded {
                metacarpophalangeal = random.gaussian(66, 9)
                proximal = random.gaussian(84, 9)
            } else {
                metacarpophalangeal = 4 + relaxation * 0.6 + curl * 75 + random.gaussian(0, 5 + 12 * curl)
                proximal = 3 + relaxation * 0.9 + curl * 105 + abs(random.gaussian(0, 5 + 12 * curl))
            }
            fingers[finger] = Finger(
                abduction: fanning[finger] * (0.6 + 0.8 * openness) + random.gaussian(0, 2.2),
                metacarpophalangeal: metacarpophalangeal,
                proximal: proximal,
                distal: proximal * (2.0 / 3) + random.gaussian(0, 4))
        }
        switch gesture.thumb {
        case .out:
            thumb = Thumb(
                radialAbduction: random.gaussian(67, 7), palmarAbduction: random.gaussian(10, 8),
                pronation: random.gaussian(8, 8), metacarpophalangeal: random.gaussian(18, 9),
                interphalangeal: random.gaussian(5, 10))
        case .rested, .meets:
            thumb = Thumb(
                radialAbduction: random.gaussian(62, 8), palmarAbduction: random.gaussian(13, 8),
                pronation: random.gaussian(15, 9), metacarpophalangeal: random.gaussian(28, 10),
                interphalangeal: random.gaussian(14, 12))
        case .across:
            thumb = Thumb(
                radialAbduction: random.gaussian(42, 7), palmarAbduction: random.gaussian(42, 7),
                pronation: random.gaussian(15, 8), metacarpophalangeal: random.gaussian(40, 10),
                interphalangeal: random.gaussian(38, 15))
        case .over:
            thumb = Thumb(
                radialAbduction: random.gaussian(36, 6), palmarAbduction: random.gaussian(50, 5),
                pronation: random.gaussian(20, 8), metacarpophalangeal: random.gaussian(32, 10),
                interphalangeal: random.gaussian(35, 14))
        }
        clampToLimits()
    }
}
