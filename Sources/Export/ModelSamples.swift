import Checkpoints
import Collectives
package import HandData
import Layers
import Memory
import Networks
import System
package import Training

/// Frames as the pipeline gives them to a network, with the network's outputs: what a port to another program is checked against.
package enum ModelSamples {
    /// Samples predicted at a time.
    private static let chunk = 32

    /// What was written.
    package struct Summary {
        package let samples: Int
        /// Frames left out: they cannot be read, or show no hand.
        package let skipped: Int
    }

    /// Writes `input` (N, 1, rows, columns), `output` (N, 48), and the labels and predictions in the frame as `label` and `joints`
    /// (N, 16, 3): u px, v px, d mm. Crops have their `centre` (N, 3) as well.
    /// - Parameters:
    ///   - source: of the frame size that the model takes.
    ///   - count: samples wanted, from the source's first.
    /// - Throws: `TrainingFailure`, `CheckpointError`, `ArenaError`.
    package static func write(_ model: TrainedModel, _ source: any FrameSource, count: Int, to path: String) throws -> Summary {
        if let size = model.frameSize, size != (source.width, source.height) {
            throw TrainingFailure(
                "the network takes frames of \(size.width)x\(size.height), and these are \(source.width)x\(source.height); hint: --data with "
                    + "such frames")
        }
        var batch = Batch()
        var index = 0
        let (pixels, width) = (model.description.input.count, HandLabel.valueCount)
        let scratch = SampleScratch(width: source.width, height: source.height)
        var (input, label) = ([Float](repeating: 0, count: pixels), [Float](repeating: 0, count: width))
        while batch.samples < count && index < source.count {
            defer { index += 1 }
            let prepared: Result<CropGeometry?, BadSample> = input.withUnsafeMutableBufferPointer { input in
                label.withUnsafeMutableBufferPointer { label in
                    Result { () throws(BadSample) in
                        try model.pipeline.prepare(source, index: index, scratch: scratch, input: input, label: label)
                    }
                }
            }
            guard case .success(let geometry) = prepared else {
                batch.skipped += 1
                continue
            }
            batch.samples += 1
            batch.inputs += input
            batch.labels += label
            batch.geometries.append(geometry)
        }
        guard batch.samples > 0 else { throw TrainingFailure("no frame can be used; hint: dtrain --data DIR --check-data lists why") }
        let outputs = try predict(model, batch)
        try write(model, batch, outputs, to: path)
        return Summary(samples: batch.samples, skipped: batch.skipped)
    }

    private struct Batch {
        var samples = 0
        var skipped = 0
        var inputs: [Float] = []
        /// In the pipeline's units.
        var labels: [Float] = []
        var geometries: [CropGeometry?] = []
    }

    private static func predict(_ model: TrainedModel, _ batch: Batch) throws -> [Float] {
        let team = try WorkerTeam(count: Processors.allowed().count)
        var setting = Network.Setting(maximumSamples: min(chunk, batch.samples))
        setting.storesGradients = model.description.stem == nil
        let arena = try Arena(capacity: Network.bytes(model.description, setting, threads: team.count))
        let network = Network(model.description, setting, team: team, communicator: Solo(), arena: arena)
        try network.readWeights(model.weights)
        var outputs: [Float] = []
        try batch.inputs.withUnsafeBufferPointer { inputs in
            for start in stride(from: 0, to: batch.samples, by: chunk) {
                let samples = min(chunk, batch.samples - start)
                let values = try network.predict(input: inputs.baseAddress! + start * model.description.input.count, samples: samples)
                outputs += UnsafeBufferPointer(start: values, count: samples * network.outputCount)
            }
        }
        return outputs
    }

    private static func write(_ model: TrainedModel, _ batch: Batch, _ outputs: [Float], to path: String) throws(CheckpointError) {
        let (shape, samples) = (model.description.input, batch.samples)
        var tensors: [(TensorEntry, [Float])] = [
            (TensorEntry(name: "input", shape: [samples, 1, shape.height, shape.width]), batch.inputs),
            (TensorEntry(name: "output", shape: [samples, HandLabel.valueCount]), outputs),
            (TensorEntry(name: "joints", shape: [samples, HandLabel.valueCount / 3, 3]), frame(outputs, model, batch)),
            (TensorEntry(name: "label", shape: [samples, HandLabel.valueCount / 3, 3]), frame(batch.labels, model, batch)),
        ]
        if model.pipeline.crop != nil {
            let centres = batch.geometries.flatMap { geometry in (0..<3).map { Float(geometry?.centre[$0] ?? 0) } }
            tensors.append((TensorEntry(name: "centre", shape: [samples, 3]), centres))
        }
        try AtomicFile.replace(path) { (temporary) throws(CheckpointError) in
            let writer = try SafetensorsWriter(path: temporary, entries: tensors.map(\.0))
            for (_, values) in tensors {
                let result: Result<Void, CheckpointError> = values.withUnsafeBufferPointer { buffer in
                    Result { () throws(CheckpointError) in try writer.append(buffer) }
                }
                try result.get()
            }
            _ = try writer.finish()
        }
    }

    /// Values in the network's units as joints in the frame.
    private static func frame(_ values: [Float], _ model: TrainedModel, _ batch: Batch) -> [Float] {
        let (decoder, width) = (model.pipeline.decoder, HandLabel.valueCount)
        var joints = values
        joints.withUnsafeMutableBufferPointer { joints in
            for sample in 0..<batch.samples {
                let row = UnsafeMutableBufferPointer(rebasing: joints[sample * width..<(sample + 1) * width])
                decoder.image(UnsafeBufferPointer(row), geometry: batch.geometries[sample], into: row)
            }
        }
        return joints
    }
}
