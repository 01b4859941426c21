/// A depth frame read by itself, of whatever size it has.
package struct DepthImage: Sendable {
    package let width: Int
    package let height: Int
    /// (height, width), mm.
    package private(set) var depth: [UInt16]

    /// Reads the 16-bit single-band PNG at `path`.
    /// - Throws: `PNGError` if it is none, damaged, or cannot be read.
    package init(contentsOf path: String) throws(PNGError) {
        let size = try PNG.size(ofFile: path)
        var depth = [UInt16](repeating: 0, count: size.width * size.height)
        let result: Result<Void, PNGError> = depth.withUnsafeMutableBufferPointer { depth in
            Result { () throws(PNGError) in try PNG.decode(file: path, expecting: size, into: depth) }
        }
        try result.get()
        (width, height, self.depth) = (size.width, size.height, depth)
    }

    /// Turns values of so many mm each into mm, rounded; beyond 16 bits they stay the largest.
    package mutating func scale(by unit: Double) {
        guard unit != 1 else { return }
        for index in depth.indices { depth[index] = UInt16(min(65535, (Double(depth[index]) * unit).rounded())) }
    }

    /// Left and right exchanged.
    package mutating func mirror() {
        for row in 0..<height { depth[row * width..<(row + 1) * width].reverse() }
    }

    package func withFrame<Value, Failure: Error>(_ body: (DepthFrame) throws(Failure) -> Value) throws(Failure) -> Value {
        let result: Result<Value, Failure> = depth.withUnsafeBufferPointer { pixels in
            Result { () throws(Failure) in try body(DepthFrame(pixels, width: width, height: height)) }
        }
        return try result.get()
    }
}

/// The PNG files of a folder and the folders in it.
package enum DepthFolder {
    /// Paths of all files that end in `.png`, sorted by name folder by folder; links are followed, but not in circles.
    /// - Throws: `DataError` for a folder that cannot be listed.
    package static func files(below folder: String, depth: Int = 0) throws(DataError) -> [String] {
        let root = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        var files: [String] = []
        for name in try directoryEntries(root) {
            let path = "\(root)/\(name)"
            switch fileKind(path) {
            case .directory where depth < 16: files += try Self.files(below: path, depth: depth + 1)
            case .regular where name.lowercased().hasSuffix(".png"): files.append(path)
            default: break
            }
        }
        return files
    }

    package static func isFolder(_ path: String) -> Bool { fileKind(path) == .directory }
}
