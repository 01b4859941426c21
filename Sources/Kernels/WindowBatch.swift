/// The pooled windows of a batch, x, and the products of the fully connected layer above them, y = x · w, that leave out background.
/// A window that is not active has the value c[channel] in every image, so with D the column sums of dy and S[channel]
/// those of the channel's rows of w, exactly:
///
///     y[s]   = sum over active (x[s, k] - c) · w[k]  +  sum over channels of c · S
///     G[k]   = sum over active (x[s, k] - c) · dy[s]  +  c · D
///     sum over all windows and images of dx = D · S
///
/// Work is proportional to the active windows but for the update of the weights. The unit is a block of `WindowBlocks`; calls
/// on different blocks run side by side. Sums run over active images and windows in order, whatever the number of threads.
/// Weights and x may be those of some blocks only: a call is told which row of both the block begins with.
///
/// `@unchecked Sendable`: borrowed memory; calls on different blocks touch different columns of x.
package struct WindowBatch: @unchecked Sendable {
    /// n.
    package let outputs: Int
    package let blocks: WindowBlocks
    package let active: ActiveWindows
    /// Images in the batch.
    package let samples: Int
    /// c: what each channel of a window without anything but background is worth.
    package let background: SIMD8<Float>
    /// (b, `stride`): pooled values; only those of active windows are read.
    package let x: UnsafeMutablePointer<Float>
    /// Floats from one image's values to the next's.
    package let stride: Int

    package init(
        outputs: Int, blocks: WindowBlocks, active: ActiveWindows, samples: Int, background: SIMD8<Float>,
        x: UnsafeMutablePointer<Float>, stride: Int
    ) {
        self.outputs = outputs
        self.blocks = blocks
        self.active = active
        self.samples = samples
        self.background = background
        self.x = x
        self.stride = stride
    }

    static let panel = TiledDense.panel
    static let strip = TiledDense.strip
    static let channels = ConvolutionPool.channels

    /// Whether a layer of `outputs` units can be computed so.
    package static func fits(outputs: Int) -> Bool { TiledDense.fits(outputs: outputs) }

    /// Rows that `forward` adds to: one for each image and one that takes what is not wanted.
    package static func partialRows(samples: Int) -> Int { samples + 1 }

    /// Floats of scratch a thread needs: lists of images, packed values, a strip of weights.
    package static func scratchCount(samples: Int) -> Int {
        listCount(samples) + (samples + panel + strip) * WindowBlocks.maximumRows
    }

    private static func listCount(_ samples: Int) -> Int { (samples + panel + 15) / 16 * 16 }

    /// Whether a channel's background is not 0: for the others c · S and c · D vanish. NaN is not 0.
    @inline(__always)
    package func isLiving(_ channel: Int) -> Bool { !(background[channel] == 0) }

    /// What a thread's scratch is divided into.
    struct Scratch {
        /// Images in which a block or a window is active.
        let list: UnsafeMutablePointer<Int32>
        /// Packed x.
        let values: UnsafeMutablePointer<Float>
        let strip: UnsafeMutablePointer<Float>

        init(_ memory: UnsafeMutablePointer<Float>, samples: Int) {
            list = UnsafeMutableRawPointer(memory).bindMemory(to: Int32.self, capacity: WindowBatch.listCount(samples))
            strip = memory + WindowBatch.listCount(samples)
            values = strip + WindowBatch.strip * WindowBlocks.maximumRows
        }
    }
}
