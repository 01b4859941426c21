package import Collectives
package import Exchange

/// How the work is divided.
package struct RanksSection: SettingSection {
    package static let title = "RANKS"

    /// Threads a rank; 0: the processors this node allows, divided by the ranks on it.
    package var threads = 0
    package var exchange: ExchangeChoice = .kind(.allreduce)
    /// How gradients travel between ranks.
    package var wire: WireFormat = .fp32

    package init() {}

    package static let settings: [Setting] = [
        .integer(
            "threads", \.threads, 0...1024, help: "Threads a rank; 0: the processors allowed on the node / the ranks on it."
        ).ranks(.own),
        .choice(
            "exchange", \.exchange,
            help: """
                How ranks agree on the update: gradients averaged; the same with the large layer's moments divided by the ranks; \
                the large layer itself divided, so that activations travel instead; or what a cost model finds the fastest here.
                """),
        .choice("wire", \.wire, help: "How gradients travel: bf16 is half the bytes, rounded to 8 bits; sums are in fp32."),
    ]
}
