import Collectives
import Layers
import Memory
import Networks
import Optimizers
import Telemetry

/// What `--tensorboard` writes besides the figures. A disk that is full fails no run: what waits is written with the next figures.
extension Trainer {
    /// Opens the event file of this start, on rank 0: settings and layers are told where the run begins, and anew where it goes on.
    /// - Throws: `WriteError` where there can be no such file.
    func beginTensorBoard() throws {
        guard communicator.rank == 0 else { return }
        let writer = try TensorBoardWriter(
            directory: "\(directory.path)/tensorboard", step: step, group: String(directory.path.split(separator: "/").last ?? "run"))
        tensorBoard = writer
        let settings = Settings.all.compactMap { setting in setting.text(in: configuration).map { (name: setting.name, text: $0) } }
        toTensorBoard {
            try writer.hyperparameters(
                settings.map { ($0.name, Double($0.text).map { $0.isFinite ? .number($0) : .text("\($0)") } ?? .text($0.text)) })
            try writer.text(
                "settings",
                "| setting | value |\n|---|---|\n" + settings.map { "| \($0.name) | \(Self.cell($0.text)) |\n" }.joined())
            try writer.text("layers", layers)
        }
    }

    /// A line of metrics.jsonl, as points.
    func toTensorBoard(_ fields: [(String, MetricValue)]) { toTensorBoard { try tensorBoard?.add(fields) } }

    /// A picture of this step.
    func toTensorBoard(_ tag: String, png: [UInt8], width: Int, height: Int) {
        toTensorBoard { try tensorBoard?.image(tag, png: png, width: width, height: height, step: step) }
    }

    private func toTensorBoard(_ body: () throws -> Void) {
        do {
            try body()
            tensorBoardIsLate = false
        } catch {
            if !tensorBoardIsLate { console.warning("\(error); what TensorBoard is to show is kept until it can be written") }
            tensorBoardIsLate = true
        }
    }

    /// The layers as a table, those within others indented.
    private var layers: String {
        let rows = model.description.places.map { place in
            let trained = place.node.layer.parameters(of: place.input).filter { $0.role.isTrained }
            let name = place.path.filter { !$0.isEmpty }.joined(separator: ".")
            let (input, output) = (place.input, place.output)
            return "| \(String(repeating: "&nbsp;&nbsp;", count: place.depth))\(Self.cell(name)) | \(type(of: place.node.layer).kind) "
                + "| \(input.height)x\(input.width)x\(input.channels) | \(output.height)x\(output.width)x\(output.channels) "
                + "| \(trained.reduce(0) { $0 + $1.count }) |\n"
        }
        return "\(model.name), \(model.description.table.valueCount) parameters\n\n| layer | kind | input | output | parameters |\n"
            + "|---|---|---|---|---|\n" + rows.joined()
    }

    private static func cell(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 }).replacing("|", with: "&#124;")
    }
}
