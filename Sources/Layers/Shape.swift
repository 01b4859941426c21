/// The shape of a sample's activations: (height, width, channels), row-major; a vector has height and width 1.
package struct Shape: Hashable, Sendable, CustomStringConvertible {
    package var height: Int
    package var width: Int
    package var channels: Int

    package init(height: Int, width: Int, channels: Int) {
        self.height = height
        self.width = width
        self.channels = channels
    }

    package init(vector count: Int) { self.init(height: 1, width: 1, channels: count) }

    /// Values that a sample can have.
    package static let largestCount = 1 << 28

    /// Values a sample.
    package var count: Int { height * width * channels }
    /// Pixels of the map.
    package var positions: Int { height * width }
    package var isVector: Bool { height == 1 && width == 1 }

    package var description: String { isVector ? "\(channels)" : "\(height)x\(width)x\(channels)" }
}

/// Why a layer cannot take what it is given.
package struct ShapeError: Error, CustomStringConvertible, Equatable {
    /// From the outermost container to the layer, such as `residual2.convolution1`.
    package var path: [String]
    package let message: String
    /// Of the file that the network was read from.
    package var line: Int?

    package init(_ message: String, path: [String] = [], line: Int? = nil) {
        self.message = message
        self.path = path
        self.line = line
    }

    package var description: String { path.isEmpty ? message : "layer \(path.joined(separator: ".")): \(message)" }

    /// The same, met inside a container.
    func inside(_ name: String, line: Int?) -> ShapeError {
        ShapeError(message, path: name.isEmpty ? path : [name] + path, line: self.line ?? line)
    }
}
