/// The sizes of the hand model, in mm, in the hand's own frame: origin at the ICVL palm joint, x towards the pinky,
/// y towards the fingers, z out of the palm (towards a camera the palm faces).
///
/// Index order of digits everywhere: thumb, index, middle, ring, pinky.
/// An ICVL finger joint is the middle of a phalanx, not an articulation: the label's "root" lies halfway along the proximal
/// phalanx. So articulations and phalanges are modelled and labels derived from them. Lengths are solved from the bone lengths
/// of the ICVL test labels' extended fingers (root-mid = half proximal + half middle; mid-tip = half middle + 0.6 distal).
enum HandAnatomy {
    /// Knuckles (metacarpophalangeal articulations), of index to pinky; the thumb's entry is its carpometacarpal articulation.
    static let bases: [5 of Vector3] = [
        Vector3(-7, -23, 6), Vector3(-21, 31.5, -4.5), Vector3(-6.5, 33, -5.5), Vector3(7.5, 26, -4), Vector3(20, 18, -2.5),
    ]

    /// Lengths of the three phalanges of each digit; of the thumb: metacarpal, proximal, distal.
    static let phalanges: [5 of Vector3] = [
        Vector3(39, 29, 19), Vector3(38, 20.5, 15), Vector3(44, 24.5, 16), Vector3(38.5, 23.5, 15.5),
        Vector3(30.5, 17, 17),
    ]

    /// Radius of the flesh at the four points of each digit: base, two articulations, fingertip.
    static let radii: [5 of SIMD4<Float>] = [
        SIMD4(13, 9.2, 8.3, 6.6), SIMD4(8.6, 7.5, 6.7, 5.6), SIMD4(8.8, 7.7, 6.8, 5.8), SIMD4(8.4, 7.3, 6.5, 5.5),
        SIMD4(7.4, 6.3, 5.7, 4.8),
    ]

    /// Direction of each extended finger in the palm's plane, degrees from y towards x, without abduction; the thumb's is unused.
    static let restSplay: [5 of Float] = [0, -12, -3, 3, 16]

    /// Where along each phalanx its label lies.
    static let labelFractions = Vector3(0.5, 0.5, 0.6)

    /// How far towards the volar (palm) side of the bone a finger's label lies.
    static let labelVolarOffset: Float = 1.5

    /// The wrist's middle.
    static let wrist = Vector3(0, -43, -5)

    /// From the wrist to where the forearm ends.
    static let forearmLength: Float = 230
}

/// The angles of a hand, in degrees, each kept within its anatomical limit by `clampToLimits`.
///
/// Limits of the fingers are those of Lin, Wu, Huang, "Modeling the constraints of human hand motion" (2000): flexion of MCP 0...90,
/// PIP 0...110, DIP 0...90, abduction of MCP -15...15, DIP = 2/3 PIP; with 10 degrees of hyperextension at MCP.
struct HandPose {
    /// One finger's angles; positive flexion bends towards the palm, positive abduction towards the pinky's side.
    struct Finger {
        var abduction: Float
        var metacarpophalangeal: Float
        var proximal: Float
        var distal: Float
    }

    /// The thumb's angles.
    struct Thumb {
        /// Metacarpal away from the fingers' direction, in the palm's plane.
        var radialAbduction: Float
        /// Metacarpal out of the palm's plane.
        var palmarAbduction: Float
        /// Turn of the thumb's pulp towards the palm.
        var pronation: Float
        var metacarpophalangeal: Float
        var interphalangeal: Float
    }

    static let abductionLimits: ClosedRange<Float> = -15...15
    static let metacarpophalangealLimits: ClosedRange<Float> = -10...90
    static let proximalLimits: ClosedRange<Float> = 0...110
    static let distalLimits: ClosedRange<Float> = 0...90
    static let radialAbductionLimits: ClosedRange<Float> = 15...80
    static let palmarAbductionLimits: ClosedRange<Float> = -5...60
    static let pronationLimits: ClosedRange<Float> = -20...50
    static let thumbMetacarpophalangealLimits: ClosedRange<Float> = -5...65
    static let interphalangealLimits: ClosedRange<Float> = -15...80

    var thumb: Thumb
    var fingers: [4 of Finger]

    mutating func clampToLimits() {
        for digit in 0..<4 {
            fingers[digit].abduction = fingers[digit].abduction.clamped(to: Self.abductionLimits)
            fingers[digit].metacarpophalangeal =
                fingers[digit].metacarpophalangeal.clamped(to: Self.metacarpophalangealLimits)
            fingers[digit].proximal = fingers[digit].proximal.clamped(to: Self.proximalLimits)
            fingers[digit].distal = fingers[digit].distal.clamped(to: Self.distalLimits)
        }
        thumb.radialAbduction = thumb.radialAbduction.clamped(to: Self.radialAbductionLimits)
        thumb.palmarAbduction = thumb.palmarAbduction.clamped(to: Self.palmarAbductionLimits)
        thumb.pronation = thumb.pronation.clamped(to: Self.pronationLimits)
        thumb.metacarpophalangeal = thumb.metacarpophalangeal.clamped(to: Self.thumbMetacarpophalangealLimits)
        thumb.interphalangeal = thumb.interphalangeal.clamped(to: Self.interphalangealLimits)
    }
}
