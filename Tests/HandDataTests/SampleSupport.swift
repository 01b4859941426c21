import Foundation
import HandData
import Testing

/// The largest difference of a component.
func apart(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Double {
    let difference = a - b
    return max(abs(difference.x), abs(difference.y), abs(difference.z))
}

/// A crop of `frame`.
func sampled(
    _ geometry: CropGeometry, _ frame: [UInt16], width: Int, height: Int, resampling: Resampling = .nearest
) -> [Float] {
    var input = [Float](repeating: .nan, count: geometry.size * geometry.size)
    frame.withUnsafeBufferPointer { frame in
        input.withUnsafeMutableBufferPointer {
            geometry.sample(DepthFrame(frame, width: width, height: height), resampling: resampling, into: $0)
        }
    }
    return input
}

/// The centre of mass found in `frame`.
func centreOfMass(
    _ frame: [UInt16], width: Int = 320, height: Int = 240, camera: Camera? = nil, cube: Double = 250
) -> SIMD3<Double>? {
    frame.withUnsafeBufferPointer { frame in
        CentreOfMass(width: width, height: height).find(
            DepthFrame(frame, width: width, height: height), camera: camera ?? .icvl(width: width, height: height), cube: cube)
    }
}

extension CropGeometry {
    /// The crop coordinates of a label of 16 joints.
    func joints(_ label: [Float]) -> [SIMD3<Double>] {
        (0..<16).map { crop(SIMD3(Double(label[3 * $0]), Double(label[3 * $0 + 1]), Double(label[3 * $0 + 2]))) }
    }

    /// The largest coordinate of a label's joints in half cubes.
    func reach(_ label: [Float]) -> Double { joints(label).map { max(abs($0.x), abs($0.y), abs($0.z)) }.max()! }
}

func meanPlace(_ label: [Float], _ camera: Camera) -> SIMD3<Double> {
    var sum = SIMD3<Double>()
    for joint in 0..<16 {
        sum += camera.millimetres(
            u: Double(label[3 * joint]), v: Double(label[3 * joint + 1]), d: Double(label[3 * joint + 2]))
    }
    return sum / 16
}

/// What a pipeline makes of a sample.
struct PreparedSample: Equatable {
    var input: [Float]
    var label: [Float]
    var geometry: CropGeometry?

    init(
        _ pipeline: SamplePipeline, _ source: any FrameSource, _ index: Int, variation: Variation = .none,
        scratch: SampleScratch? = nil
    ) throws {
        let size = pipeline.inputSize(width: source.width, height: source.height)
        var input = [Float](repeating: .nan, count: size.width * size.height)
        var label = [Float](repeating: .nan, count: 48)
        let scratch = scratch ?? SampleScratch(width: source.width, height: source.height)
        geometry = try input.withUnsafeMutableBufferPointer { input in
            try label.withUnsafeMutableBufferPointer { label in
                try pipeline.prepare(
                    source, index: index, variation: variation, scratch: scratch, input: input, label: label)
            }
        }
        self.input = input
        self.label = label
    }
}

func readLabel(_ source: any FrameSource, _ index: Int) -> [Float] {
    var label = [Float](repeating: 0, count: 48)
    label.withUnsafeMutableBufferPointer { source.readLabel(index, into: $0) }
    return label
}

/// Real depth frames beside the real labels, where they are there.
enum RealFrames {
    static let isPresent = Shared.folder.map { FileManager.default.fileExists(atPath: "\($0)/frames/hadjust_USER1") } ?? false
    static let skipped: Comment = "the real depth frames are not there: set DTRAIN_SHARED to the folder that holds frames"
    static let haveCentres = Shared.folder.map { FileManager.default.fileExists(atPath: "\($0)/frames/icvl_centres") } ?? false
    static let noCentres: Comment = "the refined centres are not there: set DTRAIN_SHARED to the folder that holds frames/icvl_centres"

    static func path(_ name: String) -> String { "\(Shared.folder!)/frames/\(name)" }

    static func read(_ name: String) throws -> (depth: [UInt16], width: Int, height: Int) {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
        return try bytes.withUnsafeBytes { bytes in
            let size = try PNG.size(of: bytes)
            var depth = [UInt16](repeating: 0, count: size.width * size.height)
            try depth.withUnsafeMutableBufferPointer { try PNG.decode(bytes, expecting: size, into: $0) }
            return (depth, size.width, size.height)
        }
    }

    /// Paths and labels of the labelled frames, and their camera.
    static let camera = Camera(focalU: 287.26, focalV: 287.26, centreU: 159, centreV: 119)
    static func labelled() throws -> [(name: String, label: [Float])] {
        try String(contentsOfFile: path("hadjust_USER1/joints16_uvd.txt"), encoding: .utf8).split(whereSeparator: \.isNewline).map {
            let fields = $0.split(separator: " ")
            return (String(fields[0]), fields.dropFirst().compactMap { Float($0) })
        }
    }
}
