/// The sizes of the hand model, in mm, in the hand's own frame: origin at the ICVL palm joint, x towards the pinky,
/// y towards the fingers, z out of the palm (towards a camera the palm faces).
///
/// Index order of digits everywhere: thumb, index, middle, ring, pinky.
/// An ICVL finger joint lies within a phalanx, not at an articulation: the label's "root" lies 0.42 along the proximal phalanx,
/// "mid" halfway along the middle one, "tip" 0.6 along the distal one. So articulations and phalanges are modelled, and labels
/// derived from them. Lengths are solved from the bone lengths of the ICVL test labels' extended fingers
/// (root-mid = 0.58 proximal + 0.5 middle; mid-tip = 0.5 middle + 0.6 distal).
enum HandAnatomy {
    /// Knuckles (metacarpophalangeal articulations), of index to pinky; the thumb's entry is its carpometacarpal articulation.
    static let bases: [5 of Vector3] = [
        Vector3(-9, -24, 6.5), Vector3(-24.7, 35.7, -6), Vector3(-7, 37.5, -6.5), Vector3(7.3, 31.7, -5.5),
        Vector3(22.8, 22.2, -3.5),
    ]

    /// Lengths of the three phalanges of each digit; of the thumb: metacarpal, proximal, distal.
    static let phalanges: [5 of Vector3] = [
        Vector3(38, 26, 20), Vector3(33, 20.5, 15), Vector3(38, 24.5, 16), Vector3(33.2, 23.5, 15.5),
        Vector3(26.4, 17, 17),
    ]

    /// Radius of the flesh at the four points of each digit: base, two articulations, fingertip.
    static let radii: [5 of SIMD4<Float>] = [
        SIMD4(10.8, 9.6, 8.8, 6.8), SIMD4(9, 8, 7.1, 5.9), SIMD4(9, 8.2, 7.2, 6.1), SIMD4(8.7, 7.8, 6.9, 5.8),
        SIMD4(7.8, 6.8, 6, 5),
    ]

    /// Direction of each extended finger in the palm's plane, degrees from y towards x, without abduction; the thumb's is unused.
    static let restSplay: [5 of Float] = [0, -14, -3, 3, 19]

    /// Where along each phalanx its label lies.
    static let labelFractions: [5 of Vector3] = [
        Vector3(0.5, 0.5, 0.62), Vector3(0.42, 0.5, 0.6), Vector3(0.42, 0.5, 0.6), Vector3(0.42, 0.5, 0.6),
        Vector3(0.42, 0.5, 0.6),
    ]

    /// How far towards the volar (palm) side of the bone a finger's label lies.
    static let labelVolarOffset: Float = 2

    /// The wrist's middle.
    static let wrist = Vector3(0, -43, -7)

    /// From the wrist to where the forearm ends.
    static let forearmLength: Float = 230
}
