extension UnsafePointer<Float> {
    /// Eight floats at `index`, any alignment.
    @inline(__always)
    func eight(_ index: Int) -> SIMD8<Float> {
        UnsafeRawPointer(self + index).loadUnaligned(as: SIMD8<Float>.self)
    }
}

extension UnsafeMutablePointer<Float> {
    /// Eight floats at `index`, any alignment.
    @inline(__always)
    func eight(_ index: Int) -> SIMD8<Float> {
        UnsafeRawPointer(self + index).loadUnaligned(as: SIMD8<Float>.self)
    }

    /// Writes eight floats at `index`, any alignment.
    @inline(__always)
    func store(_ values: SIMD8<Float>, _ index: Int) {
        UnsafeMutableRawPointer(self + index).storeBytes(of: values, as: SIMD8<Float>.self)
    }
}

extension SIMD8<Float> {
    /// 0 where it is negative or 0; NaN stays.
    @inline(__always)
    var rectified: SIMD8<Float> { replacing(with: 0, where: self .<= 0) }

    /// 0 where `values` are negative or 0: the gradient of what was rectified.
    @inline(__always)
    func masked(by values: SIMD8<Float>) -> SIMD8<Float> { replacing(with: 0, where: values .<= 0) }
}
