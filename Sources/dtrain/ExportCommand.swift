import ArgumentParser
import Checkpoints
import Export
import Glibc
import HandData
import Telemetry
import Training

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a checkpoint's network for other programs: ONNX, PyTorch, or the weights alone.",
        discussion: """
            Averaged weights are exported where the checkpoint has them (--ema). Input and output are described in the files.

            EXAMPLES
              dtrain export runs/first/checkpoints/best --onnx hand.onnx
              dtrain export runs/first/checkpoints/best --pytorch hand.py
              dtrain export runs/first/checkpoints/best --onnx hand.onnx --samples check.safetensors
            """)

    @Argument(help: "A checkpoint: the directory step-... that holds state.json.")
    var checkpoint: String

    @Option(help: ArgumentHelp("Write the network and its weights as ONNX.", valueName: "file"))
    var onnx: String?

    @Option(help: ArgumentHelp("Write the weights alone, by their names.", valueName: "file"))
    var safetensors: String?

    @Option(help: ArgumentHelp("Write a PyTorch module, which loads --safetensors (default: the same name beside it).", valueName: "file"))
    var pytorch: String?

    @Option(help: ArgumentHelp("Write inputs and dtrain's own outputs, to check a port.", valueName: "file"))
    var samples: String?

    @Option(help: "How many, from the first held-out frame.")
    var sampleCount = 100

    @Option(help: ArgumentHelp("The data set of these frames (default: synthetic hands).", valueName: "directory"))
    var data: String?

    func validate() throws {
        guard onnx != nil || safetensors != nil || pytorch != nil || samples != nil else {
            throw ValidationError("nothing to write; hint: --onnx FILE, --pytorch FILE, --safetensors FILE or --samples FILE")
        }
        guard (1...100_000).contains(sampleCount) else {
            throw ValidationError("--sample-count is \(sampleCount); hint: 1 to 100000")
        }
        let paths = [onnx, safetensors, pytorch, samples].compactMap { $0 }
        if let path = paths.first(where: { path in paths.count { $0 == path } > 1 }) {
            throw ValidationError("\(path) is to be two files at once; hint: give each its own name")
        }
        if let path = paths.first(where: { $0.isEmpty || $0.hasSuffix("/") }) {
            throw ValidationError("'\(path)' is no file name; hint: --onnx hand.onnx")
        }
        for path in paths {
            var status = stat()
            let folder = folder(of: path)
            guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                throw ValidationError("\(path): there is no directory \(folder); hint: make it first")
            }
        }
    }

    func run() throws {
        do {
            try write()
        } catch let failure as TrainingFailure {
            throw failure
        } catch let error as CheckpointError {
            let hint = error.hint == nil ? "; hint: a checkpoint is a directory step-... that dtrain wrote" : ""
            throw TrainingFailure("\(error)\(hint)")
        } catch {
            throw TrainingFailure("\(error)")
        }
    }

    private func write() throws {
        let model = try TrainedModel(checkpoint)
        let export = ModelExport(model)
        if let onnx {
            let bytes = try export.writeONNX(onnx)
            CommandRunner.say("\(onnx): ONNX, operator set \(ModelExport.operatorSet), \(size(bytes))")
        }
        if let path = weightsPath {
            CommandRunner.say("\(path): \(model.model.weightsFile), step \(model.checkpoint.step), \(size(try export.writeSafetensors(path)))")
            if let pytorch {
                try export.writePyTorch(pytorch, weightsName: relative(path, to: pytorch))
                CommandRunner.say("\(pytorch): a PyTorch module, class Network")
            }
        }
        if let samples { try write(model, samples: samples) }
    }

    private func write(_ model: TrainedModel, samples path: String) throws {
        let source: any FrameSource
        if let data {
            source = try ICVLDataSet.open(data).heldOut
        } else {
            let size = model.frameSize ?? (320, 240)
            // Frames that no training of the default size has seen.
            source = SyntheticSource(SyntheticHands(seed: 1, width: size.width, height: size.height), frames: 10_000..<10_000 + 2 * sampleCount)
        }
        let summary = try ModelSamples.write(model, source, count: sampleCount, to: path)
        let skipped = summary.skipped == 0 ? "" : ", \(summary.skipped) frames left out"
        CommandRunner.say("\(path): \(summary.samples) inputs with dtrain's outputs\(skipped)")
    }

    /// Where the weights go alone.
    private var weightsPath: String? {
        safetensors ?? pytorch.map { ($0.hasSuffix(".py") ? String($0.dropLast(3)) : $0) + ".safetensors" }
    }

    /// What a module names its weights by: the name where they lie beside it, else the whole path.
    private func relative(_ path: String, to module: String) -> String {
        if folder(of: path) == folder(of: module) { return String(path.split(separator: "/").last ?? "") }
        // The weights are written already.
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private func size(_ bytes: Int) -> String {
        bytes < 1 << 20 ? "\((bytes + 1023) / 1024) KiB" : format("%.1f MiB", Double(bytes) / Double(1 << 20))
    }
}
