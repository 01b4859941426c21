/// The pinhole camera of the ICVL frames, scaled to a frame size.
///
/// fx = fy = 241.42, cx = 160, cy = 120 at 320 x 240 (the intrinsics of DeepPrior and V2V); x = (u - cx) d / fx.
/// Another size has the same field of view: u and fx scale with the width, v and fy with the height.
struct HandCamera: Sendable {
    let width: Int
    let height: Int
    let focalX: Float  // pixels
    let focalY: Float  // pixels
    let centreX: Float  // pixels
    let centreY: Float  // pixels

    /// A camera that is given.
    init(_ camera: Camera, width: Int, height: Int) {
        (self.width, self.height) = (width, height)
        (focalX, focalY) = (Float(camera.focalU), Float(camera.focalV))
        (centreX, centreY) = (Float(camera.centreU), Float(camera.centreV))
    }

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
        let scaleX = Float(width) / 320
        let scaleY = Float(height) / 240
        focalX = 241.42 * scaleX
        focalY = 241.42 * scaleY
        centreX = 160 * scaleX
        centreY = 120 * scaleY
    }

    /// (u pixels, v pixels, d mm) of a point in mm.
    func project(_ point: Vector3) -> Vector3 {
        Vector3(centreX + focalX * point.x / point.z, centreY + focalY * point.y / point.z, point.z)
    }

    /// The point in mm of (u pixels, v pixels, d mm).
    func unproject(_ label: Vector3) -> Vector3 {
        Vector3((label.x - centreX) * label.z / focalX, (label.y - centreY) * label.z / focalY, label.z)
    }
}
