package import HandData

/// What is trained on, and how it is read.
package struct DataSection: SettingSection {
    package static let title = "DATA"

    /// Root of an ICVL data set; nil: synthetic hands in memory.
    package var data: String?
    package var rotations: Rotations = .none
    package var onBadSample: BadSamplePolicy = .stop
    /// What the best weights are chosen by.
    package var validation: ValidationSplit = .sequence
    /// Frames of the synthetic training and test sets, when `data` is nil; there are as many held-out hands as test hands.
    package var syntheticFrames = 10_000
    package var syntheticTestFrames = 500
    /// Which kind of synthetic hands, and how they vary.
    package var hands = HandModel.first
    package var handVariation = 1.0
    package var handDirections = HandDirections.upright
    package var handViews = HandViews.palm
    /// mm; nil: the model's.
    package var handSurfaceOffset: Double?
    /// Of the frames, synthetic or not.
    package var camera = CameraChoice.icvl
    /// `WIDTHxHEIGHT` of the synthetic frames; a data set on disk has its own.
    package var imageSize = "320x240"
    package var input: DepthConditioning = .normalized
    /// Memory for decoded frames, MiB a rank.
    package var cache = 1024

    package init() {}

    package static let settings: [Setting] = [
        .optionalText(
            "data", \.data, "directory",
            help: "Root of an ICVL data set (Training/, Testing/). Without it: synthetic hands, in memory."
        ).resuming(.contents).ranks(.ownIfGiven),
        .choice("rotations", \.rotations, help: "ICVL's rotated copies of the training frames."),
        .choice(
            "on-bad-sample", \.onBadSample,
            help: "A sample that cannot be read: stop the run, or skip it on all ranks and count it."
        ).resuming(.allowed),
        .integer("synthetic-frames", \.syntheticFrames, 1...10_000_000, help: "Synthetic training frames."),
        .integer(
            "synthetic-test-frames", \.syntheticTestFrames, 1...10_000_000,
            help: "Synthetic test frames; as many other hands are held out for validation."),
        .choice(
            "validation", \.validation,
            help: """
                What the best weights are chosen by: whole training sequences that are held out (of synthetic hands: others than the \
                test's); the last tenth of the training frames; or the test frames, whose error is no test result then.
                """
        ).resuming(.noted),
        .choice(
            "hands", \.hands,
            help: """
                Synthetic hands as dtrain's first were; with forearm, flesh and labels' depth fitted to ICVL's centres of mass; or these with \
                more poses, views and proportions.
                """),
        .number(
            "hand-variation", \.handVariation, hint: "a factor from 0 to 4, such as 2", where: { $0 >= 0 && $0 <= 4 },
            help: "Factor of how much synthetic hands differ in size, digit lengths and girth; 1: by 3.5%, 2% and 6%."),
        .choice(
            "hand-directions", \.handDirections,
            help: "Synthetic hands point upwards as in ICVL's test frames, or any way in the picture."),
        .choice(
            "hand-views", \.handViews,
            help: "Synthetic hands show the palm as in ICVL's frames, or every side: backs and edges too. Both look alike in some frames."),
        .optionalNumber(
            "hand-surface-offset", \.handSurfaceOffset, hint: "mm from 0 to 30, such as 10",
            where: { $0 >= 0 && $0 <= 30 },
            help: """
                How much nearer than the bones' middle the joints' d of synthetic hands is, mm: by default as in ICVL's labels, 10 (--hands first: \
                0); 0 for labels of fitted hand models.
                """),
        .value(
            "camera", \.camera, "fx,fy,cx,cy", form: "icvl, fx,fy,cx,cy",
            help: "The frames' camera, in their pixels: ICVL's, scaled to the frames' size, or focal lengths and principal point."
        ).resuming(.fixed),
        .text("image-size", \.imageSize, "WIDTHxHEIGHT", help: "Size of synthetic frames; must divide by --pool.")
            .checked {
                $0.imageExtent == nil ? "--image-size is '\($0.imageSize)'; hint: WIDTHxHEIGHT, for example 320x240" : nil
            },
        .choice("input", \.input, help: "Depth as input: nearness from 0 to 2 with background 0, or the millimetres themselves.")
            .resuming(.fixed),
        .integer("cache", \.cache, 0...1_000_000_000, "MiB", help: "Memory for decoded frames, of each rank; 0: none.")
            .ranks(.own),
    ]
}
