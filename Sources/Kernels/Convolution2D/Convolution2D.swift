/// A two-dimensional convolution (cross-correlation, as in every framework) of NHWC images:
///
///     y[h, w, o] = bias[o] + sum over k, l, c of x[s·h + k - p, s·w + l - p, c] · weights[k, l, c, o]
///
/// with zeros outside the image. It holds no values: the caller carves memory by the sizes given here and divides the
/// items among its threads. What an item is depends on the layer's shape alone, and every sum has one fixed order, so that
/// a sample's bits depend neither on the batch, nor on its place in it, nor on threads.
///
/// Shapes: x (H, W, C), y (H', W', O), weights (k, k, C, O), bias (O), all row-major floats.
package struct Convolution2D: Sendable, Equatable {
    /// Zeros around the image.
    package enum Padding: Sendable {
        /// k/2 rows and columns of zeros on each side, as PyTorch's `padding=k//2`: with stride 1 the image keeps its size,
        /// with stride 2 it becomes (H + 1)/2. TensorFlow's SAME places the windows of stride 2 differently on even sizes.
        case same
        /// None: the image loses k - 1 rows and columns.
        case valid
    }

    /// How the products are made.
    package enum Method: Sendable {
        /// The fastest way: Winograd's where it saves time.
        case fastest
        /// One product for each term of the definition.
        case direct
    }

    package let height, width: Int
    package let inputChannels, outputChannels: Int
    /// Rows and columns of the kernel: odd.
    package let kernel: Int
    /// 1 or 2.
    package let stride: Int
    package let padding: Padding
    package let outputHeight, outputWidth: Int
    /// The kernels it runs on.
    package let instructionSet: InstructionSet

    let direct: DirectConvolution
    /// The input gradient, one phase for each remainder of a row and a column of x by the stride.
    let phases: [DirectConvolution]
    /// Winograd's way for the forward pass and the weight gradient, and for the input gradient, where it is taken.
    let winograd, inputWinograd: WinogradConvolution?

    /// - Precondition: the kernel is odd and not larger than the padded image; stride 1 or 2; all sizes positive.
    package init(
        height: Int, width: Int, inputChannels: Int, outputChannels: Int, kernel: Int, stride: Int = 1, padding: Padding,
        method: Method = .fastest, instructionSet: InstructionSet = .best
    ) {
        precondition(height > 0 && width > 0 && inputChannels > 0 && outputChannels > 0, "sizes must be positive")
        precondition(kernel > 0 && kernel % 2 == 1, "kernel \(kernel) is not odd")
        precondition(stride == 1 || stride == 2, "stride \(stride) is neither 1 nor 2")
        let border = padding == .same ? kernel / 2 : 0
        precondition(height + 2 * border >= kernel && width + 2 * border >= kernel, "kernel larger than the image")
        self.height = height
        self.width = width
        self.inputChannels = inputChannels
        self.outputChannels = outputChannels
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.instructionSet = instructionSet
        let (rows, columns) = ((height + 2 * border - kernel) / stride + 1, (width + 2 * border - kernel) / stride + 1)
        outputHeight = rows
        outputWidth = columns
        direct = DirectConvolution(
            height: height, width: width, inputs: inputChannels, outputs: outputChannels, kernelHeight: kernel,
            kernelWidth: kernel, stride: stride, top: border, left: border, rows: rows, columns: columns,
            offset: 0, step: outputChannels, rowStep: columns * outputChannels)
        phases = (0..<stride * stride).map { index in
            let vertical = Phase(index / stride, size: height, kernel: kernel, stride: stride, border: border)
            let horizontal = Phase(index % stride, size: width, kernel: kernel, stride: stride, border: border)
            return DirectConvolution(
                height: rows, width: columns, inputs: outputChannels, outputs: inputChannels,
                kernelHeight: vertical.taps, kernelWidth: horizontal.taps, stride: 1,
                top: vertical.margin, left: horizontal.margin, rows: vertical.count, columns: horizontal.count,
                offset: (vertical.first * width + horizontal.first) * inputChannels, step: stride * inputChannels,
                rowStep: stride * width * inputChannels)
        }
        winograd = method == .direct ? nil : WinogradConvolution(direct)
        inputWinograd = method == .direct || stride != 1 ? nil : WinogradConvolution(phases[0])
    }

    /// Whether a pass takes Winograd's way, which rounds more coarsely.
    package var usesWinograd: Bool { winograd != nil || inputWinograd != nil }
    package var isDirect: Bool { !usesWinograd }
    /// Rows and columns of zeros on each side.
    package var border: Int { padding == .same ? kernel / 2 : 0 }
    /// Floats of a sample's x.
    package var inputCount: Int { height * width * inputChannels }
    /// Floats of a sample's y.
    package var outputCount: Int { outputHeight * outputWidth * outputChannels }
    /// Floats of the weights.
    package var weightCount: Int { kernel * kernel * inputChannels * outputChannels }
    /// Multiply-adds of one pass over one sample by the definition, borders counted: of forward, of the input gradient and
    /// of the weight gradient.
    package var multiplyAdds: Int { outputHeight * outputWidth * weightCount }
    /// Floats of scratch that a thread needs for any pass.
    package var scratchCount: Int {
        max(
            winograd?.scratchCount ?? direct.scratchCount(rows: forwardRows),
            winograd?.gradientScratchCount ?? 0, direct.scratchCount(rows: gradientRows),
            inputWinograd?.scratchCount ?? phases.map { $0.scratchCount(rows: inputRows) }.max()!)
    }

    /// Items that pack the weights: one for each place of the kernel, or as many parts of the channels.
    package var packItems: Int { kernel * kernel }
}

/// The pixels of x, in one direction, whose windows lie alike: those at s·q + remainder - border.
private struct Phase {
    /// Rows of the kernel that reach them: remainder, remainder + s, ...
    let taps: Int
    /// The first of these pixels, and how many there are.
    let first, count: Int
    /// Zeros in front of dy, where the kernel is read backwards.
    let margin: Int

    init(_ remainder: Int, size: Int, kernel: Int, stride: Int, border: Int) {
        taps = max(0, (kernel - remainder + stride - 1) / stride)
        let start = max(0, (border - remainder + stride - 1) / stride)
        first = stride * start + remainder - border
        count = max(0, (size - first + stride - 1) / stride)
        margin = taps - 1 - start
    }
}
