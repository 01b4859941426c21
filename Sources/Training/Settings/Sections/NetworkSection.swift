package import Kernels
package import Networks

/// The network. A preset's recipe is `RunConfiguration.model`.
package struct NetworkSection: SettingSection {
    package static let title = "NETWORK"

    package var output: OutputHead = .linear
    package var pool = 2
    package var hidden = 1024
    package var initialValues: InitialValues = .he
    package var outputBias: OutputBias = .mean

    package init() {}

    package static let settings: [Setting] = [
        .choice(
            "preset", \.preset,
            help: """
                Defaults of all settings: the question's network, cured; its program as it was, which collapses; 4x4 pooling; and \
                networks of crops: DeepPrior, REN, dense joint maps (JGR-P2O), dtrain's own.
                """
        ).defaultText("seed"),
        .optionalText(
            "network", \.model.networkFile, "file", help: "A YAML file with a network of your own (Docs/networks.md), instead of the preset's."
        ).comparing { $0.model.networkContents },
        .value(
            "loss", \.model.loss, "loss", form: "preset, mse, smooth-l1:SIGMA, huber:DELTA",
            help: "How outputs are compared with labels: as the network has it, mean squared error, smooth L1, or Huber's."
        ).resuming(.allowed),
        .choice(
            "output", \.output,
            help: "What the last layer's values become. ReLU can die (Docs/why-zero.md); exp needs --learning-rate 1e-5."
        ).resuming(.fixed),
        .integer("pool", \.pool, of: [2, 4], help: "Max pooling window: 153,600 or 38,400 inputs of FC1.").resuming(.fixed),
        .integer("hidden", \.hidden, 1...1_000_000, help: "Units of FC1.").resuming(.fixed),
        .choice(
            "initial-values", \.initialValues, help: "He's, with biases 0; or of standard deviation 0.1, with biases 0.1."),
        .choice(
            "output-bias", \.outputBias, help: "The last bias begins at the mean of the training labels, or as the other biases."),
    ]
}
