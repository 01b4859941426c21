import Exchange
package import HandData
import Layers
import Memory
package import Networks

/// What a run trains: the network, what it is shown, and how its outputs are understood. Made from the settings, once.
package struct RunModel: Sendable {
    package let description: NetworkDescription
    /// The network as one of the question's kind, if it is.
    package let window: WindowNetwork?
    /// How frames become inputs in training, varied; evaluation leaves the variation out.
    package let pipeline: SamplePipeline
    /// For messages: the preset, or the file.
    package let name: String

    /// Pixels of a sample's input.
    var pixels: Int { description.input.count }

    /// - Parameters:
    ///   - width, height: of the data set's frames.
    /// - Throws: `TrainingFailure`.
    package init(_ configuration: RunConfiguration, width: Int, height: Int) throws {
        let model = configuration.model
        if let path = model.networkFile {
            do {
                var network = try NetworkFile.read(path)
                network.loss = model.loss.replacing(network.loss)
                description = network
            } catch {
                throw TrainingFailure("\(error)", exitCode: 64)
            }
            window = nil
            name = path
        } else if let architecture = configuration.preset.architecture {
            var network = architecture.description(size: model.crop.size == 0 ? nil : model.crop.size)
            network.loss = model.loss.replacing(network.loss)
            description = network
            window = nil
            name = configuration.preset.rawValue
        } else {
            let network = configuration.network(width: width, height: height)
            if let problem = network.problem { throw TrainingFailure(problem) }
            var description = network.description
            description.loss = model.loss.replacing(description.loss)
            self.description = description
            window = network
            name = configuration.preset.rawValue
        }
        if let problem = description.problem {
            let place = model.networkFile.map { path in problem.line.map { "\(path):\($0): " } ?? "\(path): " } ?? ""
            throw TrainingFailure("\(place)\(problem)", exitCode: 64)
        }
        if model.networkFile != nil, description.stem != nil {
            throw TrainingFailure(
                "\(name): window-stem is for whole frames, and a network from a file is given crops; hint: convolution, max-pooling and "
                    + "dense in its place, or --preset seed", exitCode: 64)
        }
        if model.networkFile != nil, model.crop.size != 0 {
            throw TrainingFailure(
                "--crop-size \(model.crop.size): a network from a file tells its size itself; hint: input: in \(name)", exitCode: 64)
        }
        if window != nil {
            pipeline = .frame(configuration.input, camera: configuration.camera.camera)
        } else {
            guard description.input.height == description.input.width, description.input.channels == 1 else {
                throw TrainingFailure(
                    "the network's input is \(description.input): crops are square and have one channel; hint: input: {height: "
                        + "96, width: 96}", exitCode: 64)
            }
            var crop = HandCrop(size: description.input.height)
            crop.cube = model.crop.cube
            crop.resampling = model.crop.resampling
            crop.camera = configuration.camera.camera
            crop.augmentation = model.crop.augmentation
            // The centres of files are known with the data: see `pipeline(centre:isVaried:)`.
            if model.crop.centre == .labels { crop.centre = .labels }
            pipeline = .crop(crop)
        }
    }

    /// The pipeline of a part of the data.
    /// - Parameter isVaried: for training; evaluation leaves the variation out.
    func pipeline(centre: CentreFinder, isVaried: Bool) -> SamplePipeline {
        guard var crop = pipeline.crop else { return pipeline }
        crop.centre = centre
        if !isVaried { crop.augmentation = .none }
        return .crop(crop)
    }

    /// The update policy that fits: fused where it can be, unless another is asked for.
    /// - Throws: `TrainingFailure` where the one that is asked for cannot train so.
    func policy(_ configuration: RunConfiguration) throws -> UpdatePolicy {
        let settings = configuration.model
        let problem =
            window == nil
            ? "only presets of whole frames update tile by tile"
            : UpdatePolicy.problemOfFused(
                network: description, optimizer: configuration.optimizer, clipping: settings.clipping, accumulate: settings.accumulate)
        guard settings.update == .fused, let problem else {
            return settings.update == .stored || problem != nil ? .stored : .fused
        }
        throw TrainingFailure("--update fused: \(problem); hint: --update stored, or leave it out", exitCode: 64)
    }
}
