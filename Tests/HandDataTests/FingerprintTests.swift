import HandData
import Testing

/// What makes a run that resumes notice other hands.
struct FingerprintTests {
    @Test func fingerprintTellsSeedSizeAndFrames() {
        func fingerprint(seed: UInt64 = 1, width: Int = 64, frames: Range<Int> = 0..<9) -> UInt64 {
            SyntheticSource(SyntheticHands(seed: seed, width: width, height: 48), frames: frames).fingerprint
        }
        let all = [fingerprint(), fingerprint(seed: 2), fingerprint(width: 32), fingerprint(frames: 0..<8), fingerprint(frames: 1..<9)]
        #expect(Set(all).count == all.count)
        #expect(fingerprint() == fingerprint())
    }
}
