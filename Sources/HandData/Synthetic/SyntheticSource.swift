import System

/// Synthetic hands as a source of samples: frames are rendered when they are read.
package struct SyntheticSource: FrameSource {
    private let hands: SyntheticHands
    /// Numbers of the renderer's frames.
    package let frames: Range<Int>
    private let scratch = ScratchPool()

    /// - Parameter frames: numbers of the renderer's frames; sample 0 is the first.
    package init(_ hands: SyntheticHands, frames: Range<Int>) {
        self.hands = hands
        self.frames = frames
    }

    package var count: Int { frames.count }
    package var width: Int { hands.width }
    package var height: Int { hands.height }

    package func readLabel(_ index: Int, into label: UnsafeMutableBufferPointer<Float>) {
        hands.label(index: frameNumber(index), into: label)
    }

    package func readFrame(_ index: Int, into depth: UnsafeMutableBufferPointer<UInt16>) throws(BadSample) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: HandLabel.valueCount) { label in
            scratch.lend(hands) { hands.render(index: frameNumber(index), depth: depth, label: label, scratch: $0) }
        }
    }

    package func readSample(
        _ index: Int, depth: UnsafeMutableBufferPointer<UInt16>, label: UnsafeMutableBufferPointer<Float>
    ) throws(BadSample) {
        scratch.lend(hands) { hands.render(index: frameNumber(index), depth: depth, label: label, scratch: $0) }
    }

    package func describe(_ index: Int) -> String { "synthetic frame \(frameNumber(index)) of seed \(hands.seed)" }

    package func refuse(_ index: Int, reason: String) -> BadSample {
        BadSample(
            path: "", labelFile: "synthetic hands of seed \(hands.seed), frame", line: Int(frameNumber(index)), index: index,
            reason: reason)
    }

    /// Of the renderer's version, the seed, the size and the frames: the samples are a pure function of them.
    package var fingerprint: UInt64 {
        var hash = StreamHash()
        let frameRange = [UInt64(frames.lowerBound), UInt64(frames.upperBound)]
        for word in [SyntheticHands.version, hands.seed, UInt64(width), UInt64(height)] + frameRange + hands.style.words {
            hash.combine(word)
        }
        return hash.value
    }

    private func frameNumber(_ index: Int) -> UInt64 { UInt64(frames.lowerBound + index) }
}

/// Working memory of renders under way, kept for the next: as many as ever ran at once.
final class ScratchPool: @unchecked Sendable {  // the list changes under the lock; one renderer at a time holds an item
    private var free: [SyntheticHands.Scratch] = []
    private let condition = ConditionLock()

    func lend(_ hands: SyntheticHands, _ body: (SyntheticHands.Scratch) -> Void) {
        let scratch = condition.withLock { free.popLast() } ?? SyntheticHands.Scratch(hands)
        body(scratch)
        condition.withLock { free.append(scratch) }
    }
}
