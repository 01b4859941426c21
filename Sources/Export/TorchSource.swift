import HandData
import Layers
import Memory
import Networks
import Training

/// The text of a Python file: a PyTorch module, and how its outputs become joints.
enum TorchSource {
    static func text(_ model: TrainedModel, _ words: ExportDescription, weightsName: String) throws -> String {
        let (input, width) = (model.description.input, 96)
        var module = TorchModule()
        let first = TorchValue(name: "x", shape: input, isMap: true)
        let last = module.vector(try module.append(model.description.layers, first, ""))
        let helpers = module.helpers.sorted { $0.key < $1.key }.map { $0.value + "\n\n\n" }.joined()
        // A layer's name above its lines would be noise: parameters name it already.
        return """
            \"\"\"\(wrapped(words.summary, width))

            Written by `dtrain export`. Needs torch and safetensors.

                network = Network().eval()
                outputs = network(images)

            \(wrapped("Input " + words.input, width))

            \(wrapped("Output " + words.output, width))
            \"\"\"
            from pathlib import Path

            import torch
            import torch.nn.functional as F
            from safetensors.torch import load_file
            from torch import nn

            WEIGHTS = Path(__file__).parent / "\(weightsName)"
            CONSTANT = [\(constants(model))]  # never trained


            \(helpers)class Network(nn.Module):
                \"\"\"(N, 1, \(input.height), \(input.width)) to (N, 48), in evaluation: no dropout, running statistics.\"\"\"

                def __init__(self, weights=WEIGHTS):
                    super().__init__()
                    self.names = {}
                    for name, value in load_file(weights).items():
                        if value.dim() == 4:  # convolutions: (rows, columns, in, out)
                            value = value.permute(3, 2, 0, 1).contiguous()
                        self.names[name] = name.replace(".", "__").replace("-", "_")
                        if name in CONSTANT:
                            self.register_buffer(self.names[name], value)
                        else:
                            self.register_parameter(self.names[name], nn.Parameter(value))

                def forward(self, image):
                    p = {name: getattr(self, attribute) for name, attribute in self.names.items()}
                    x = image
            \(module.lines.map { "        \($0)" }.joined(separator: "\n"))
                    return \(last.name)


            \(joints(words))
            """ + "\n"
    }

    /// Parameters that are never trained.
    private static func constants(_ model: TrainedModel) -> String {
        let names = model.description.table.parameters.filter { !$0.role.isTrained }.map { "\n    \"\($0.name)\"," }
        return names.isEmpty ? "" : names.joined() + "\n"
    }

    private static func joints(_ words: ExportDescription) -> String {
        let camera = words.camera
        let constants = "FU, FV, CU, CV = \(camera.focalU), \(camera.focalV), \(camera.centreU), \(camera.centreV)"
        let size = "frames of \(words.frame.width)x\(words.frame.height)"
        let image =
            words.cube.map { cube in
                """
                HALF = \(cube / 2)  # half the edge of the cube, mm


                def to_uvd(outputs, centre):
                    \"\"\"Outputs (N, 48) and the crops' centres (N, 3), u px, v px, d mm, to joints (N, 16, 3) in the frame.\"\"\"
                    centre = centre[:, None, :]
                    depth = centre[..., 2]
                    half = torch.stack([HALF * FU / depth, HALF * FV / depth, torch.full_like(depth, HALF)], -1)
                    return centre + outputs.reshape(-1, 16, 3) * half
                """
            }
                ?? """


                def to_uvd(outputs):
                    \"\"\"Outputs (N, 48) to joints (N, 16, 3): u px, v px, d mm.\"\"\"
                    return outputs.reshape(-1, 16, 3)
                """
        return """
            \(constants)  # camera of \(size)
            \(image)


            def to_millimetres(uvd):
                \"\"\"Joints (N, 16, 3), u px, v px, d mm, to x, y, z in mm.\"\"\"
                u, v, d = uvd.unbind(-1)
                return torch.stack([(u - CU) * d / FU, (v - CV) * d / FV, d], -1)
            """
    }

    /// The text in lines of at most so many characters.
    private static func wrapped(_ text: String, _ width: Int) -> String {
        var lines = [""]
        for word in text.split(separator: " ") {
            let line = lines[lines.count - 1]
            if line.count + word.count >= width {
                lines.append(String(word))
            } else {
                lines[lines.count - 1] = line.isEmpty ? String(word) : "\(line) \(word)"
            }
        }
        return lines.joined(separator: "\n")
    }
}
