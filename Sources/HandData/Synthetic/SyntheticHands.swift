import Memory
import System

/// Renders depth frames of articulated hands with exact ICVL labels: sizes, poses, places and depths distributed like those of the
/// real ICVL test labels, seen by a time-of-flight camera.
///
/// Frame `index` is a pure function of (seed, index, size): the same bytes in any order, on any thread and host.
///
/// Labels are 16 joints of (u pixels, v pixels, d mm) in ICVL's order: palm, then root, mid, tip of thumb, index, middle, ring, pinky.
package struct SyntheticHands: Sendable {
    /// Numbers in a label: 16 joints of u, v, d.
    package static let labelCount = 48

    /// Depth of a pixel that shows no hand, as in ICVL.
    package static let background = DepthSensor.background

    /// Of the frames that a seed and a number give. To be raised with any change that alters a frame or a label: it is part of
    /// the sources' fingerprints, so that a run does not go on with other hands than it began with.
    package static let version: UInt64 = 1

    package let seed: UInt64
    /// Pixels.
    package let width: Int
    /// Pixels.
    package let height: Int

    /// How they look and vary.
    package let style: HandStyle

    private let camera: HandCamera

    /// - Parameters:
    ///   - seed: another seed gives other hands.
    ///   - width: pixels; another size than 320 x 240 shows the same view: fx, cx and labels' u scale with the width.
    ///   - height: pixels; fy, cy and labels' v scale with the height.
    ///   - style: a style with a camera does not scale with the size.
    /// - Precondition: width and height are at least 8.
    package init(seed: UInt64, width: Int = 320, height: Int = 240, style: HandStyle = HandStyle()) {
        precondition(width >= 8 && height >= 8, "a synthetic frame has at least 8 x 8 pixels")
        self.seed = seed
        self.width = width
        self.height = height
        self.style = style
        camera =
            style.camera.map { HandCamera($0, width: width, height: height) } ?? HandCamera(width: width, height: height)
    }

    /// Working memory of one render at a time: one for each thread. Rendering with it allocates nothing.
    package final class Scratch {
        let buffer: DepthBuffer

        /// Memory for frames of the size of `hands`.
        package init(_ hands: SyntheticHands) {
            buffer = DepthBuffer(camera: hands.camera)
        }
    }

    /// The label of frame `index`, without rendering it.
    /// - Parameter label: 48 values; see the type.
    package func label(index: UInt64, into label: UnsafeMutableBufferPointer<Float>) {
        var random = CounterRandom(seed: seed, stream: index).generator()
        write(HandDraw.draw(&random, style).skeleton, to: label)
    }

    private func write(_ skeleton: HandSkeleton, to label: UnsafeMutableBufferPointer<Float>) {
        precondition(label.count == Self.labelCount, "a label holds 48 numbers")
        for joint in 0..<16 {
            var position = camera.project(skeleton.joints[joint])
            position.z -= style.labelDepth
            for axis in 0..<3 { label[3 * joint + axis] = position[axis] }
        }
    }

    /// Renders frame `index`.
    ///
    /// - Parameters:
    ///   - index: which frame.
    ///   - depth: height x width, row-major, mm; 32001 where there is no hand, 0 in holes.
    ///   - label: 48 values; see the type.
    ///   - scratch: made for a renderer of the same size; without one, memory is allocated for this frame.
    package func render(
        index: UInt64, depth: UnsafeMutableBufferPointer<UInt16>, label: UnsafeMutableBufferPointer<Float>,
        scratch: Scratch? = nil
    ) {
        var random = CounterRandom(seed: seed, stream: index).generator()
        let skeleton = HandDraw.draw(&random, style).skeleton
        write(skeleton, to: label)
        render(skeleton, &random, index, depth, scratch)
    }

    /// The angles of the hand in frame `index`.
    package func pose(index: UInt64) -> HandPose {
        var random = CounterRandom(seed: seed, stream: index).generator()
        return HandDraw.draw(&random, style).pose
    }

    /// Renders a hand around given joints, with the sensor's noise of frame `index`.
    ///
    /// - Parameters:
    ///   - joints: 48 values in this renderer's pixels and mm; every d must be at least 60 mm.
    ///   - index: which noise.
    ///   - depth: as in `render(index:depth:label:scratch:)`.
    ///   - scratch: as there.
    package func render(
        joints: UnsafeBufferPointer<Float>, index: UInt64, depth: UnsafeMutableBufferPointer<UInt16>,
        scratch: Scratch? = nil
    ) {
        precondition(joints.count == Self.labelCount, "a label holds 48 numbers")
        var points = [16 of Vector3](repeating: Vector3())
        for joint in 0..<16 {
            let depth = joints[3 * joint + 2] + style.labelDepth
            points[joint] = camera.unproject(Vector3(joints[3 * joint], joints[3 * joint + 1], depth))
        }
        var random = CounterRandom(seed: seed, stream: index).generator()
        render(HandSkeleton(joints: points, build: style.build), &random, index, depth, scratch)
    }

    private func render(
        _ skeleton: HandSkeleton, _ random: inout SequentialRandom, _ index: UInt64,
        _ depth: UnsafeMutableBufferPointer<UInt16>, _ scratch: Scratch?
    ) {
        precondition(depth.count == width * height, "a frame holds width x height depths")
        let buffer = scratch?.buffer ?? DepthBuffer(camera: camera)
        precondition(
            buffer.camera.width == width && buffer.camera.height == height, "scratch memory is of another frame size")
        buffer.clear()
        // ICVL's frames are cut behind the hand: the forearm vanishes somewhere, the hand itself is whole.
        var deepest = skeleton.joints[0].z
        for joint in 1..<16 { deepest = max(deepest, skeleton.joints[joint].z) }
        let reach = random.uniform(50...150)
        let build = style.build
        let behindPalm = build.cut + build.cutShare * random.uniform(35...reach)
        let farthest = max(skeleton.joints[0].z + behindPalm, deepest + build.behindDeepest)
        buffer.draw(skeleton, build, farthest: farthest)
        DepthSensor(random: CounterRandom(seed: ~seed, stream: index)).read(buffer, into: depth)
    }
}
