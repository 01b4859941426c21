/// The crops that networks of crops see: all in `ModelSettings.crop`.
package struct CropSection: SettingSection {
    package static let title = "CROPS"

    package init() {}

    package static let settings: [Setting] = [
        .number(
            "cube", \.model.crop.cube, hint: "an edge in mm from 50 to 1000, such as 250", where: { $0 >= 50 && $0 <= 1000 },
            help: "Edge of the cube around the hand that a network of crops sees, mm."
        ).resuming(.fixed),
        .integer(
            "crop-size", \.model.crop.size, 0...1024, "pixels", help: "Rows and columns of the crop; 0: as the network was designed."
        ).resuming(.fixed),
        .choice(
            "resample", \.model.crop.resampling,
            help: "How the crop's pixels are made of the frame's: the nearest, or the surface around; neither mixes hand and background."
        ).resuming(.fixed),
        .value(
            "centre", \.model.crop.centre, "centre", form: "com, labels, FILE, TRAINING-FILE,TEST-FILE", isPath: true,
            help: """
                Where the cube is: at the hand's centre of mass; at the mean of the true joints, which no unknown frame tells; or at \
                the centres of files with a line 'u v d' a frame.
                """
        ).resuming(.allowed),
        .value(
            "augment", \.model.crop.augmentation, "amounts",
            form: "none, icvl, strong, or amounts such as jitter=10,rotation=180,scale=0.1",
            help: "How crops of training frames are varied: centre, rotation in the picture, scale, noise, dropped pixels, holes."
        ).resuming(.allowed),
    ]
}
