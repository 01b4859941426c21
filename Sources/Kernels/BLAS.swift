import COpenBLAS

/// The BLAS behind the matrix products: OpenBLAS, one thread a call, called from the worker team's threads.
package enum BLAS {
    /// Keeps OpenBLAS to the calling thread: the worker team divides the work (openblas_set_num_threads).
    package static func useCallingThreadOnly() { openblas_set_num_threads(1) }

    /// The kernel OpenBLAS chose for this processor, for example `Haswell` or `SkylakeX` (openblas_get_corename).
    package static var kernelName: String { String(cString: openblas_get_corename()) }

    /// c = op(a) · op(b) + beta · c, all row-major (cblas_sgemm).
    /// - Parameters:
    ///   - m, n, k: op(a) is (m, k), op(b) is (k, n), c is (m, n).
    ///   - beta: 0 overwrites c (NaN in it included), 1 accumulates.
    @inline(__always)
    package static func gemm(
        transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int,
        a: UnsafePointer<Float>, strideA: Int, b: UnsafePointer<Float>, strideB: Int,
        beta: Float, c: UnsafeMutablePointer<Float>, strideC: Int
    ) {
        guard m > 0 && n > 0 else { return }
        cblas_sgemm(
            CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
            Int32(m), Int32(n), Int32(k), 1, a, Int32(strideA), b, Int32(strideB), beta, c, Int32(strideC))
    }
}
