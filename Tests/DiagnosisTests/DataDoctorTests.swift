import Diagnosis
import HandData
import Testing

/// Synthetic hands with a mistake in labels or frames.
private struct MistakenSource: FrameSource {
    var hands = SyntheticSource(SyntheticHands(seed: 5, width: 160, height: 120), frames: 0..<400)
    /// The sample that is given in the place of another.
    var number: @Sendable (Int) -> Int = { $0 }
    /// The sample whose label is given, where it is another than the frame's.
    var labelNumber: (@Sendable (Int) -> Int)?
    /// (u, v, d) of a joint.
    var label: @Sendable (SIMD3<Float>) -> SIMD3<Float> = { $0 }
    var depth: @Sendable (UInt16) -> UInt16 = { $0 }

    var count: Int { hands.count }
    var width: Int { hands.width }
    var height: Int { hands.height }
    var fingerprint: UInt64 { hands.fingerprint }
    func describe(_ index: Int) -> String { hands.describe(index) }

    func readLabel(_ index: Int, into target: UnsafeMutableBufferPointer<Float>) {
        hands.readLabel(number(labelNumber?(index) ?? index), into: target)
        for joint in 0..<HandLabel.jointCount {
            let place = label(SIMD3(target[3 * joint], target[3 * joint + 1], target[3 * joint + 2]))
            for axis in 0..<3 { target[3 * joint + axis] = place[axis] }
        }
    }

    func readFrame(_ index: Int, into target: UnsafeMutableBufferPointer<UInt16>) throws(BadSample) {
        try hands.readFrame(number(index), into: target)
        for pixel in target.indices { target[pixel] = depth(target[pixel]) }
    }
}

@Suite struct DataDoctorTests {
    /// Other hands of the same seed.
    private let heldOut = SyntheticSource(SyntheticHands(seed: 5, width: 160, height: 120), frames: 1000..<1060)

    private func problems(_ training: any FrameSource, heldOut: (any FrameSource)? = nil) -> [Finding] {
        DataDoctor.findings(training: training, heldOut: heldOut ?? self.heldOut).filter { $0.severity == .problem }
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>) func healthyDataHasNoProblem(seed: UInt64) {
        let hands = SyntheticHands(seed: seed, width: 160, height: 120)
        let findings = DataDoctor.findings(
            training: SyntheticSource(hands, frames: 0..<300), heldOut: SyntheticSource(hands, frames: 300..<360))
        #expect(!findings.contains { $0.severity == .problem }, "\(findings.map(\.line))")
        #expect(findings.contains { $0.subject == "labels and frames" && $0.severity == .ok }, "\(findings.map(\.line))")
    }

    /// Each mistake is told by one problem, with its own words.
    @Test func eachMistakeIsTold() {
        let centre = SIMD3<Float>(80, 60, 0)
        let camera = Camera.icvl(width: 160, height: 120)
        let mistakes: [(String, any FrameSource, String)] = [
            ("constant labels", MistakenSource(labelNumber: { _ in 0 }), "are the same"),
            ("shuffled labels", MistakenSource(labelNumber: { ($0 * 173 + 50) % 400 }), "shuffled"),
            ("one pose", OnePose(hands: MistakenSource().hands), "it is one pose"),
            ("metres", MistakenSource(label: { SIMD3($0.x, $0.y, $0.z / 1000) }), "d are metres"),
            (
                "mm in place of pixels",
                MistakenSource(label: { place in
                    let mm = camera.millimetres(u: Double(place.x), v: Double(place.y), d: Double(place.z))
                    return SIMD3(Float(mm.x), Float(mm.y), Float(mm.z))
                }), "x, y, z in mm"
            ),
            ("exchanged axes", MistakenSource(label: { SIMD3($0.y, $0.x, $0.z) }), "exchanged"),
            ("mirrored", MistakenSource(label: { SIMD3(159 - $0.x, $0.y, $0.z) }), "mirrored"),
            ("upside down", MistakenSource(label: { SIMD3($0.x, 119 - $0.y, $0.z) }), "v counts upwards"),
            ("twice as large", MistakenSource(label: { SIMD3(2 * $0.x, 2 * $0.y, $0.z) }), "twice as large"),
            ("swapped bytes", MistakenSource(depth: { $0.byteSwapped }), "bytes are swapped"),
            ("centimetres", MistakenSource(depth: { $0 / 10 }), "depths are centimetres"),
            ("another principal point", MistakenSource(label: { $0 + SIMD3(14, -10, 0) }), "another camera"),
            ("another focal length", MistakenSource(label: { ($0 - centre) * SIMD3(1.3, 1.3, 1) + centre }), "another camera"),
        ]
        for (name, source, words) in mistakes {
            let found = problems(source)
            #expect(found.count == 1 && found[0].text.contains(words), "\(name): \(found.map(\.line))")
            #expect(found.allSatisfy { $0.cure?.isEmpty == false })
        }
    }

    @Test func framesOnBothSidesAreTold() {
        let hands = SyntheticHands(seed: 5, width: 160, height: 120)
        let found = problems(SyntheticSource(hands, frames: 0..<300), heldOut: SyntheticSource(hands, frames: 280..<340))
        #expect(found.count == 1 && found[0].text.contains("20 of 60 held-out frames"), "\(found.map(\.line))")
        // What is evaluated at the end is no training frame either.
        let test = DataDoctor.problems(
            training: SyntheticSource(hands, frames: 0..<300), heldOut: heldOut, test: SyntheticSource(hands, frames: 290..<330))
        #expect(test.count == 1 && test[0].text.contains("10 of 40 test frames"), "\(test.map(\.line))")
        // The same pixels under other labels.
        var moved = MistakenSource(hands: SyntheticSource(hands, frames: 290..<330))
        moved.label = { $0 + SIMD3(0.5, 0, 0) }
        let byPixels = problems(SyntheticSource(hands, frames: 0..<300), heldOut: moved)
        #expect(byPixels.count == 1 && byPixels[0].text.contains("10 of 40 held-out frames"), "\(byPixels.map(\.line))")
    }

    @Test func littleDataIsTold() {
        let hands = SyntheticHands(seed: 5, width: 160, height: 120)
        let found = problems(SyntheticSource(hands, frames: 0..<40))
        #expect(found.count == 1 && found[0].subject == "amount", "\(found.map(\.line))")
    }
}

/// One hand at places of its own: labels and pixels move together.
private struct OnePose: FrameSource {
    let hands: SyntheticSource
    var count: Int { hands.count }
    var width: Int { hands.width }
    var height: Int { hands.height }
    var fingerprint: UInt64 { hands.fingerprint }
    func describe(_ index: Int) -> String { hands.describe(index) }
    private func shift(_ index: Int) -> Int { index % 21 - 10 }

    func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) {
        hands.readLabel(0, into: label)
        for joint in 0..<HandLabel.jointCount { label[3 * joint] += Float(shift(index)) }
    }

    func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) throws(BadSample) {
        let whole = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: depth.count)
        defer { whole.deallocate() }
        try hands.readFrame(0, into: whole)
        for row in 0..<height {
            for column in 0..<width {
                let source = column - shift(index)
                depth[row * width + column] = (0..<width).contains(source) ? whole[row * width + source] : 0
            }
        }
    }
}
