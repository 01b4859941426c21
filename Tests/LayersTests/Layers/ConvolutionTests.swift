import Layers
import TestOracle

extension Convolution: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init("convolution, same", (5, 7, 3), Convolution(5, kernel: 3)),
            .init("convolution, valid", (6, 5, 2), Convolution(3, kernel: 5, padding: .valid)),
            .init("convolution, stride 2, no bias", (5, 6, 3), Convolution(4, kernel: 3, stride: 2, bias: false)),
            .init("convolution 1x1", (3, 1, 9), Convolution(7, kernel: 1)),
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        let input = place.input
        let oracle = OracleConvolution(
            height: input.height, width: input.width, inputChannels: input.channels, outputChannels: channels, kernel: kernel,
            stride: stride, border: padding == .same ? kernel / 2 : 0)
        let bias = bias ? network.parameter("bias", of: place) : [Double](repeating: 0, count: channels)
        let weights = network.parameter("weight", of: place)
        return network.eachSample(x, input) { oracle.forward($0, weights: weights, bias: bias) }
    }
}
