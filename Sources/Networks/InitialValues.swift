import Kernels
package import Tensors

extension NetworkConfiguration {
    /// Writes the parameters' initial values: a pure function of the seed, whatever the number of ranks or threads.
    /// - Parameters:
    ///   - parameters: `table.count` floats, overwritten.
    ///   - meanOutput: what the last layer's bias makes the network give at first (48 values); nil: bias 0 or 0.1.
    ///   - largeRows: the rows of the large layer that are held, in the order in which they lie in `parameters`; nil: all.
    package func initialize(
        _ parameters: UnsafeMutablePointer<Float>, seed: UInt64, team: WorkerTeam, meanOutput: [Float]? = nil,
        largeRows: [Range<Int>]? = nil
    ) {
        let table = table(largeRows: largeRows.map { $0.reduce(0) { $0 + $1.count } })
        for (number, parameter) in table.parameters.enumerated() {
            let start = parameters + parameter.range.lowerBound
            let isBias = parameter.shape.count == 1
            if isBias {
                let value: Float = initialValues == .he ? 0 : 0.1
                UnsafeMutableBufferPointer(start: start, count: parameter.count).update(repeating: value)
                if let meanOutput, parameter.name == "fc2.bias" {
                    for (output, mean) in meanOutput.enumerated() { start[output] = head.inverse(mean) }
                }
                continue
            }
            let random = CounterRandom(seed: seed, stream: UInt64(number))
            let deviation = deviation(of: self.table[parameter.name])
            if let largeRows, parameter.name == "fc1.weight" {
                let firsts = largeRows.reduce(into: [0]) { $0.append($0.last! + $1.count) }
                team.forEach(largeRows.count) { piece, _ in
                    RandomFill.truncatedNormal(
                        random, start: largeRows[piece].lowerBound * hidden, deviation: deviation,
                        into: UnsafeMutableBufferPointer(
                            start: start + firsts[piece] * hidden, count: largeRows[piece].count * hidden))
                }
                continue
            }
            let block = 1 << 16
            team.forEach((parameter.count + block - 1) / block) { item, _ in
                let range = item * block..<min(parameter.count, (item + 1) * block)
                RandomFill.truncatedNormal(
                    random, start: range.lowerBound, deviation: deviation,
                    into: UnsafeMutableBufferPointer(start: start + range.lowerBound, count: range.count))
            }
        }
    }

    private func deviation(of parameter: Parameter) -> Float {
        guard initialValues == .he else { return 0.1 }
        let inputs = Float(parameter.shape.dropLast().reduce(1, *))
        // What exp is applied to multiplies the output, so it begins near the bias.
        let gain: Float = parameter.name != "fc2.weight" ? 2 : head == .exp ? 0.01 : 1
        // Cutting at two deviations leaves a standard deviation of 0.8796 (the truncated normal's); divide it out.
        return (gain / inputs).squareRoot() / 0.879_625_66
    }
}
