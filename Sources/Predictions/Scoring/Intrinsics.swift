package import HandData

/// The camera by which pixels become mm when errors are measured.
package enum Intrinsics: Sendable, Equatable {
    /// 240.99 and 240.96 px: the evaluator in common use, and the published tables.
    case common
    /// 241.42 px: DeepPrior's and V2V's; errors come out 0.1% smaller.
    case deepPrior
    /// Another camera.
    case camera(Camera)

    /// - Parameter text: `common`, `241.42`, or `fx,fy,cx,cy`.
    /// - Returns: nil for any other text.
    package init?(_ text: String) {
        switch text {
        case "common": self = .common
        case "241.42": self = .deepPrior
        default:
            guard let camera = Camera(text: text) else { return nil }
            self = .camera(camera)
        }
    }

    /// As it is given and reported.
    package var name: String {
        switch self {
        case .common: "common"
        case .deepPrior: "241.42"
        case .camera(let camera): camera.text
        }
    }

    /// For frames of this size: ICVL's cameras scale with it.
    package func camera(width: Int = 320, height: Int = 240) -> Camera {
        switch self {
        case .common: .commonEvaluator(width: width, height: height)
        case .deepPrior: .icvl(width: width, height: height)
        case .camera(let camera): camera
        }
    }
}
