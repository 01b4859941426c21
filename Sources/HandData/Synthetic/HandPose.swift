/// The angles of a hand, in degrees, each kept within its anatomical limit by `clampToLimits`.
///
/// Limits of the fingers are those of Lin, Wu, Huang, "Modeling the constraints of human hand motion" (2000): flexion of MCP 0...90,
/// PIP 0...110, DIP 0...90, abduction of MCP -15...15, DIP = 2/3 PIP; with 10 degrees of hyperextension at MCP.
package struct HandPose: Sendable {
    /// One finger's angles; positive flexion bends towards the palm, positive abduction towards the pinky's side.
    package struct Finger: Sendable {
        /// Away from the finger's rest, in the palm's plane.
        package var abduction: Float
        /// At the knuckle (MCP).
        package var metacarpophalangeal: Float
        /// At the middle articulation (PIP).
        package var proximal: Float
        /// At the last articulation (DIP).
        package var distal: Float
    }

    /// The thumb's angles.
    package struct Thumb: Sendable {
        /// Metacarpal away from the fingers' direction, in the palm's plane.
        package var radialAbduction: Float
        /// Metacarpal out of the palm's plane.
        package var palmarAbduction: Float
        /// Turn of the thumb's pulp towards the palm.
        package var pronation: Float
        /// At the articulation beyond the metacarpal (MCP).
        package var metacarpophalangeal: Float
        /// At the last articulation (IP).
        package var interphalangeal: Float
    }

    /// Spreading of a finger from its rest, degrees.
    package static let abductionLimits: ClosedRange<Float> = -15...15
    /// Flexion of the fingers' first articulation (knuckle), degrees.
    package static let metacarpophalangealLimits: ClosedRange<Float> = -10...90
    /// Flexion of the proximal interphalangeal articulation, degrees.
    package static let proximalLimits: ClosedRange<Float> = 0...110
    /// Flexion of the distal interphalangeal articulation, degrees.
    package static let distalLimits: ClosedRange<Float> = 0...90
    /// Angle of the thumb's metacarpal to the fingers' direction, in the palm's plane, degrees.
    package static let radialAbductionLimits: ClosedRange<Float> = 15...80
    /// Angle of the thumb's metacarpal out of the palm's plane, degrees.
    package static let palmarAbductionLimits: ClosedRange<Float> = -5...60
    /// Turn of the thumb about its metacarpal, degrees.
    package static let pronationLimits: ClosedRange<Float> = -20...50
    /// Flexion of the thumb's first articulation beyond the metacarpal, degrees.
    package static let thumbMetacarpophalangealLimits: ClosedRange<Float> = -5...65
    /// Flexion of the thumb's last articulation, degrees.
    package static let interphalangealLimits: ClosedRange<Float> = -15...80

    package var thumb: Thumb
    /// Index, middle, ring, pinky.
    package var fingers: [4 of Finger]

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
