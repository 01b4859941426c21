package import HandData

/// Where the crops of an evaluation are put.
package enum EvaluationCentre: Sendable, Equatable {
    /// At the centre of mass of the nearest hand-sized surface.
    case com
    /// At the mean of the true joints: no unknown frame tells it.
    case labels
    /// At given centres, a line a frame.
    case file(String)

    /// - Parameter text: `com`, `labels`, or a file.
    package init(_ text: String) {
        switch text {
        case "com": self = .com
        case "labels": self = .labels
        default: self = .file(text)
        }
    }

    /// - Throws: `DataError` for a file that does not fit the part's label files.
    func finder(_ part: ICVLPart) throws(DataError) -> CentreFinder {
        switch self {
        case .com: .com
        case .labels: .labels
        case .file(let path): .file(try CentreTable(contentsOf: path, count: part.listedCount).selecting(part.frames.places))
        }
    }
}

/// What is to be evaluated, on what, and where the results go.
package struct EvaluationRequest: Sendable {
    package var checkpoint: String
    package var data: String
    package var part = ICVLPart.Name.test
    package var centre = EvaluationCentre.com
    /// Of the frames; nil: the checkpoint's, or ICVL's scaled to their size.
    package var camera: Camera?
    /// By which errors are measured; nil: the common evaluator's, or those of a camera of its own.
    package var intrinsics: Intrinsics?
    package var onBadSample = BadSamplePolicy.stop
    /// Threads a rank; 0: as many as fit.
    package var threads = 0
    /// Where predictions are written.
    package var output = "predictions.txt"
    /// Where success curves are drawn, .svg and .png; nil: nowhere.
    package var plot: String?
    /// Files of other predictions of the same frames, for the plot.
    package var beside: [String] = []

    package init(checkpoint: String, data: String) { (self.checkpoint, self.data) = (checkpoint, data) }
}
