package import HandData
import Telemetry

/// What the three numbers of a joint mean in a file of predictions.
package enum PoseFormat: String, CaseIterable, Sendable, Codable {
    /// u px, v px downwards, d mm.
    case uvd
    /// The same, v counted upwards from the frame's lower edge.
    case uvdUp = "uvd-up"
    /// x, y downwards, z, mm.
    case xyz
    /// The same, y upwards.
    case xyzUp = "xyz-up"

    /// In words.
    package var words: String {
        switch self {
        case .uvd: "u, v in pixels and d in mm"
        case .uvdUp: "u, v in pixels with v upwards, and d in mm"
        case .xyz: "x, y, z in mm"
        case .xyzUp: "x, y, z in mm with y upwards"
        }
    }

    /// The place (x, y, z), mm, y downwards, of a joint.
    func place(_ joint: SIMD3<Double>, _ camera: Camera) -> SIMD3<Double> {
        switch self {
        case .uvd: camera.millimetres(u: joint.x, v: joint.y, d: joint.z)
        case .uvdUp: camera.millimetres(u: joint.x, v: 2 * camera.centreV - joint.y, d: joint.z)
        case .xyz: joint
        case .xyzUp: SIMD3(joint.x, -joint.y, joint.z)
        }
    }

    /// The best reading must be so many times nearer to the labels than the next.
    private static let clearRatio = 1.5

    /// The format in which `poses` are near `truth`.
    ///
    /// A hand read wrongly lies far from where it is: pixels taken as mm are 100 mm off, a hand upside down by more than its size.
    /// - Parameters:
    ///   - truth: as many joints, mm.
    /// - Throws: `DataError` where no reading is clearly the nearest, with the distance of each.
    static func detect(_ poses: PoseFile, order: [Int], truth: [SIMD3<Double>], camera: Camera) throws(DataError) -> PoseFormat {
        let distances = allCases.map { format in
            JointErrors(poses.places(format, order: order, camera: camera), truth).meanError
        }
        let sorted = allCases.indices.sorted { distances[$0] < distances[$1] }
        guard distances[sorted[1]] > clearRatio * distances[sorted[0]] else {
            let readings = zip(allCases, distances).map { "\($0.rawValue) (\($0.words)): \(format("%.1f", $1)) mm" }
            let start = poses[0].prefix(3).map { "\($0)" }.joined(separator: " ")
            throw DataError(
                "\(printable(poses.path)): cannot tell what its numbers are: line \(poses.lines[0]) begins with \(start), and the mean distance from "
                    + "the labels is, read as \(readings.joined(separator: ", ")); hint: say it with --format "
                    + allCases.map(\.rawValue).joined(separator: ", "))
        }
        return allCases[sorted[0]]
    }
}

extension PoseFile {
    /// Places of the joints in mm, (order.count, 16).
    /// - Parameter order: the poses to take, one after the other.
    package func places(_ format: PoseFormat, order: [Int], camera: Camera) -> [SIMD3<Double>] {
        order.flatMap { index in
            let pose = self[index]
            return stride(from: pose.startIndex, to: pose.endIndex, by: 3).map {
                format.place(SIMD3(pose[$0], pose[$0 + 1], pose[$0 + 2]), camera)
            }
        }
    }
}
