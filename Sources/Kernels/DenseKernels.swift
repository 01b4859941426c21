import System

/// Which routines compute the large layer's products.
package enum DenseKernels: String, Sendable, Codable, CaseIterable {
    /// `tiled` where it is the faster one (see `choose`), else `blas`.
    case auto
    /// The BLAS, block by block.
    case blas
    /// `TiledDense`.
    case tiled

    /// What `auto` means on this processor for a layer of `outputs` units: a pure function of both, so that a run's bits
    /// are the same every time. The tiled kernels use 256-bit registers; Intel's processors with AVX-512 do twice as much a
    /// cycle with the 512-bit ones of OpenBLAS's kernels, AMD's do not. A build without fused multiply-add has the BLAS.
    package func choose(outputs: Int) -> DenseKernels {
        guard TiledDense.fits(outputs: outputs) else { return .blas }
        guard self == .auto else { return self }
        #if arch(x86_64)
            guard Processors.compiledFeatures.contains("fma") else { return .blas }
        #endif
        return Processors.isIntel && Processors.hasFeature("avx512f") ? .blas : .tiled
    }
}

/// What a finished tile is to be updated with, and where: the three arrays begin at the parameter's first element.
package struct ImmediateUpdate {
    package let update: AdamUpdate
    package let weights: UnsafeMutablePointer<Float>
    package let firstMoment: UnsafeMutablePointer<Float>
    package let secondMoment: UnsafeMutablePointer<Float>

    package init(
        update: AdamUpdate, weights: UnsafeMutablePointer<Float>, firstMoment: UnsafeMutablePointer<Float>,
        secondMoment: UnsafeMutablePointer<Float>
    ) {
        self.update = update
        self.weights = weights
        self.firstMoment = firstMoment
        self.secondMoment = secondMoment
    }
}
