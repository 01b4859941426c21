package import HandData
package import Optimizers

/// The camera of a run's frames. As text: `icvl`, or `fx,fy,cx,cy` in pixels.
package enum CameraChoice: SettingText, Equatable {
    /// ICVL's, scaled to the frames' size.
    case icvl
    case given(Camera)

    package init(parsing text: String) throws(SettingError) {
        guard text != "icvl" else {
            self = .icvl
            return
        }
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
        guard numbers.count == 4, let focalU = numbers[0], let focalV = numbers[1], let centreU = numbers[2], let centreV = numbers[3],
            (1...100_000).contains(focalU), (1...100_000).contains(focalV), abs(centreU) <= 100_000, abs(centreV) <= 100_000
        else {
            throw SettingError(
                description: "--camera is '\(text)'; hint: icvl, or focal lengths and principal point in pixels, fx,fy,cx,cy, such as "
                    + "287.26,287.26,159,119")
        }
        self = .given(Camera(focalU: focalU, focalV: focalV, centreU: centreU, centreV: centreV))
    }

    package var description: String {
        guard let camera else { return "icvl" }
        return [camera.focalU, camera.focalV, camera.centreU, camera.centreV].map { "\($0)" }.joined(separator: ",")
    }

    /// Nil: ICVL's.
    package var camera: Camera? { if case .given(let camera) = self { camera } else { nil } }
}
