import Layers

extension DepthwiseConvolution: TestedLayer {
    static var cases: [LayerCase] {
        [
            .init("depth-wise convolution", (5, 7, 11), DepthwiseConvolution(kernel: 3)),
            .init("depth-wise convolution, stride 2, no bias", (6, 5, 8), DepthwiseConvolution(kernel: 3, stride: 2, bias: false)),
            .init("depth-wise convolution larger than the map", (2, 3, 9), DepthwiseConvolution(kernel: 7)),
            .init("depth-wise convolution of one place", (3, 4, 16), DepthwiseConvolution(kernel: 1, stride: 2)),
            .init(
                "depth-wise separable, normalised", (5, 6, 8), ulps: 2048,
                [
                    LayerNode(DepthwiseConvolution(kernel: 5, bias: false)), LayerNode(BatchNormalization(rectified: true)),
                    LayerNode(Convolution(5, kernel: 1, bias: false)), LayerNode(BatchNormalization()),
                ]),
        ]
    }

    func oracle(_ x: [Double], _ place: OraclePlace, _ network: inout OracleLayers) -> [Double] {
        let (input, output) = (place.input, place.output)
        let weights = network.parameter("weight", of: place)
        let bias = bias ? network.parameter("bias", of: place) : [Double](repeating: 0, count: input.channels)
        return network.eachSample(x, input) { x in
            (0..<output.count).map { index in
                let (position, channel) = (index / output.channels, index % output.channels)
                var sum = bias[channel]
                for tap in 0..<kernel * kernel {
                    let row = position / output.width * stride + tap / kernel - kernel / 2
                    let column = position % output.width * stride + tap % kernel - kernel / 2
                    guard 0..<input.height ~= row, 0..<input.width ~= column else { continue }
                    sum += x[(row * input.width + column) * input.channels + channel] * weights[tap * input.channels + channel]
                }
                return sum
            }
        }
    }
}
