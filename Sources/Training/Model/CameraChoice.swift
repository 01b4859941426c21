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
        guard let camera = Camera(text: text)
        else {
            throw SettingError(
                description: "--camera is '\(text)'; hint: icvl, or focal lengths and principal point in pixels, fx,fy,cx,cy, such as "
                    + "287.26,287.26,159,119")
        }
        self = .given(camera)
    }

    package var description: String {
        camera?.text ?? "icvl"
    }

    /// Nil: ICVL's.
    package var camera: Camera? { if case .given(let camera) = self { camera } else { nil } }
}
