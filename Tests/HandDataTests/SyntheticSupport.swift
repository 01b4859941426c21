import Foundation
import HandData

/// One rendered frame.
struct SyntheticFrame: Equatable {
    var depth: [UInt16]
    var label: [Float]

    /// (u, v, d) of a joint.
    func joint(_ joint: Int) -> SIMD3<Float> { SIMD3(label[3 * joint], label[3 * joint + 1], label[3 * joint + 2]) }
}

extension SyntheticHands {
    func frame(_ index: UInt64, scratch: Scratch? = nil) -> SyntheticFrame {
        var frame = SyntheticFrame(
            depth: [UInt16](repeating: 7, count: width * height), label: [Float](repeating: 0, count: 48))
        frame.depth.withUnsafeMutableBufferPointer { depth in
            frame.label.withUnsafeMutableBufferPointer { label in
                render(index: index, depth: depth, label: label, scratch: scratch)
            }
        }
        return frame
    }

    func frame(joints: [Float], _ index: UInt64) -> SyntheticFrame {
        var frame = SyntheticFrame(depth: [UInt16](repeating: 7, count: width * height), label: joints)
        frame.depth.withUnsafeMutableBufferPointer { depth in
            joints.withUnsafeBufferPointer { joints in render(joints: joints, index: index, depth: depth) }
        }
        return frame
    }
}

func isSurface(_ depth: UInt16) -> Bool { depth > 0 && depth < 1500 }

/// FNV-1a, 64 bits, over the bytes of depths and labels, little-endian.
func hash(_ frames: [SyntheticFrame]) -> UInt64 {
    var state: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ value: UInt32, bytes: Int) {
        for byte in 0..<bytes { state = (state ^ UInt64(value >> (8 * UInt32(byte)) & 0xFF)) &* 0x100_0000_01b3 }
    }
    for frame in frames {
        for depth in frame.depth { add(UInt32(depth), bytes: 2) }
        for value in frame.label { add(value.bitPattern, bytes: 4) }
    }
    return state
}

/// The point in mm of a label at 320 x 240: fx = fy = 241.42, cx = 160, cy = 120.
func point(_ label: SIMD3<Float>) -> SIMD3<Double> {
    let d = Double(label.z)
    return SIMD3((Double(label.x) - 160) * d / 241.42, (Double(label.y) - 120) * d / 241.42, d)
}

func length(_ vector: SIMD3<Double>) -> Double { (vector * vector).sum().squareRoot() }

/// Joint each joint hangs on, in ICVL's order.
let parents = [0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]

/// Mean and standard deviation of u, v, d.
struct SyntheticStatistics {
    var mean = SIMD3<Double>()
    var deviation = SIMD3<Double>()

    init(_ labels: [SIMD3<Float>]) {
        var square = SIMD3<Double>()
        for label in labels {
            let value = SIMD3<Double>(label)
            mean += value
            square += value * value
        }
        mean /= Double(labels.count)
        deviation = (square / Double(labels.count) - mean * mean).squareRoot()
    }
}

/// The real test labels, 48 numbers a line, where the shared folder is present.
enum RealLabels {
    static var path: String {
        let shared = ProcessInfo.processInfo.environment["DTRAIN_SHARED"] ?? "../shared"
        return shared + "/icvl/icvl_test_groundtruth_label.txt"
    }

    static var arePresent: Bool { FileManager.default.fileExists(atPath: path) }

    static func read() throws -> [[Float]] {
        try String(contentsOfFile: path, encoding: .utf8).split(whereSeparator: \.isNewline)
            .map { $0.split(separator: " ").compactMap { Float($0) } }.filter { $0.count == 48 }
    }
}
