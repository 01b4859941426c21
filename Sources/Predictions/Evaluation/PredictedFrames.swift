import HandData

/// Predictions of some of a source's frames, and those that there are none of; travels between ranks as bytes.
struct PredictedFrames {
    /// A frame that could not be predicted.
    struct Bad {
        let index: Int
        let reason: String
        let hint: String
    }

    /// Frames that were predicted, ascending.
    private(set) var indices: [Int] = []
    /// (indices.count, 48): u px, v px, d mm.
    private(set) var joints: [Float] = []
    private(set) var bad: [Bad] = []

    init() {}

    mutating func add(_ result: Result<Prediction, BadSample>, of index: Int, _ frames: ICVLFrames) {
        switch result {
        case .success(let prediction) where prediction.isFinite:
            indices.append(index)
            joints += prediction.joints
        case .success:
            bad.append(
                Bad(
                    index: index, reason: "\(frames.describe(index)): the network's outputs are not finite",
                    hint: "its weights may be: dtrain inspect tells"))
        case .failure(let sample):
            bad.append(
                Bad(index: index, reason: sample.description, hint: "repair the frame, or leave such frames out with --on-bad-sample skip"))
        }
    }

    // MARK: Between ranks

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ value: Int) { withUnsafeBytes(of: UInt64(value).littleEndian) { bytes += $0 } }
        func append(_ text: String) {
            append(text.utf8.count)
            bytes += Array(text.utf8)
        }
        append(indices.count)
        for index in indices { append(index) }
        for value in joints { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 } }
        append(bad.count)
        for frame in bad {
            append(frame.index)
            append(frame.reason)
            append(frame.hint)
        }
        return bytes
    }

    /// What the ranks sent, one after the other.
    init(decoding ranks: [[UInt8]]) {
        for bytes in ranks {
            var offset = 0
            func next() -> Int {
                defer { offset += 8 }
                return Int(bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) })
            }
            func text() -> String {
                let count = next()
                defer { offset += count }
                return String(decoding: bytes[offset..<offset + count], as: UTF8.self)
            }
            let count = next()
            for _ in 0..<count { indices.append(next()) }
            for _ in 0..<count * HandLabel.valueCount {
                let bits = bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
                joints.append(Float(bitPattern: bits))
                offset += 4
            }
            for _ in 0..<next() {
                let index = next()
                let reason = text()
                bad.append(Bad(index: index, reason: reason, hint: text()))
            }
        }
    }
}
