/// Sums of several arrays, element by element, always in the order of the arrays: `((a + b) + c) + ...`.
enum OrderedSum {
    /// `target[i]` = the sum of `inputs[0][i]`, `inputs[1][i]`, ... in fp32. Nothing need be aligned; `target` may be one of
    /// the inputs.
    /// - Parameter wire: how the inputs lie there.
    static func sum(
        _ inputs: UnsafeBufferPointer<UnsafeRawPointer>, wire: WireFormat, count: Int,
        into target: UnsafeMutablePointer<Float>
    ) {
        switch wire {
        case .fp32: sum(inputs, count: count, into: target)
        case .bf16: sumEncoded(inputs, count: count, into: target)
        }
    }

    private static func sum(
        _ inputs: UnsafeBufferPointer<UnsafeRawPointer>, count: Int, into target: UnsafeMutablePointer<Float>
    ) {
        let output = UnsafeMutableRawPointer(target)
        let first = inputs[0]
        var index = 0
        // Four registers at a time hide the latency of the additions.
        while index &+ 32 <= count {
            let offset = index &* 4
            var (a, b, c, d) = (
                load(first + offset), load(first + offset + 32), load(first + offset + 64), load(first + offset + 96)
            )
            for input in 1..<inputs.count {
                let next = inputs[input] + offset
                a += load(next)
                b += load(next + 32)
                c += load(next + 64)
                d += load(next + 96)
            }
            store(a, output + offset)
            store(b, output + offset + 32)
            store(c, output + offset + 64)
            store(d, output + offset + 96)
            index &+= 32
        }
        while index < count {
            var partial = (first + index &* 4).loadUnaligned(as: Float.self)
            for input in 1..<inputs.count { partial += (inputs[input] + index &* 4).loadUnaligned(as: Float.self) }
            target[index] = partial
            index &+= 1
        }
    }

    private static func sumEncoded(
        _ inputs: UnsafeBufferPointer<UnsafeRawPointer>, count: Int, into target: UnsafeMutablePointer<Float>
    ) {
        let output = UnsafeMutableRawPointer(target)
        var index = 0
        while index &+ 16 <= count {
            let offset = index &* 2
            var (a, b) = (BFloat16.load(inputs[0] + offset), BFloat16.load(inputs[0] + offset + 16))
            for input in 1..<inputs.count {
                a += BFloat16.load(inputs[input] + offset)
                b += BFloat16.load(inputs[input] + offset + 16)
            }
            store(a, output + index &* 4)
            store(b, output + index &* 4 + 32)
            index &+= 16
        }
        while index < count {
            var partial = encoded(inputs[0], index)
            for input in 1..<inputs.count { partial += encoded(inputs[input], index) }
            target[index] = partial
            index &+= 1
        }
    }

    private static func load(_ pointer: UnsafeRawPointer) -> SIMD8<Float> { pointer.loadUnaligned(as: SIMD8<Float>.self) }
    private static func store(_ value: SIMD8<Float>, _ pointer: UnsafeMutableRawPointer) {
        pointer.storeBytes(of: value, as: SIMD8<Float>.self)
    }
    private static func encoded(_ pointer: UnsafeRawPointer, _ index: Int) -> Float {
        BFloat16.value((pointer + index &* 2).loadUnaligned(as: UInt16.self))
    }
}
