package import HandData

/// A frame to be predicted: its file, and the truth about it where that is known.
package struct FrameItem: Sendable {
    package let file: String
    /// (16, 3): u px, v px, d mm.
    package let label: [Double]?

    package init(file: String, label: [Double]? = nil) { (self.file, self.label) = (file, label) }
}

/// The frames that a command line names.
package enum FrameList {
    /// Files as they are, of a data set its test frames (or training frames, where it has no others), of other folders all PNG files.
    /// - Throws: `DataError` for a folder that has no frames.
    package static func items(_ arguments: [String], labels: FrameLabels) throws(DataError) -> [FrameItem] {
        var items: [FrameItem] = []
        for argument in arguments {
            guard DepthFolder.isFolder(argument) else {
                items.append(FrameItem(file: argument, label: labels.label(of: argument)))
                continue
            }
            if let part = try ICVLPart.openAny(in: argument) {
                items += dataSet(part.frames)
                continue
            }
            let files = try DepthFolder.files(below: argument)
            guard !files.isEmpty else {
                throw DataError(
                    "\(printable(argument)): no frames in it; hint: name PNG files, a folder of them, or a data set with Testing or Training")
            }
            items += files.map { FrameItem(file: $0, label: labels.label(of: $0)) }
        }
        return items
    }

    private static func dataSet(_ frames: ICVLFrames) -> [FrameItem] {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: HandLabel.valueCount) { label in
            (0..<frames.count).map { index in
                frames.readLabel(index, into: label)
                return FrameItem(file: frames.file(of: index), label: label.map { Double($0) })
            }
        }
    }
}

/// Labels of files with names in front of the numbers, found by the end of a frame's path.
package struct FrameLabels: Sendable {
    private var labels: [Substring: [Double]] = [:]

    /// - Throws: `DataError` for a file that cannot be read, or has no names.
    package init(contentsOf paths: [String]) throws(DataError) {
        for path in paths {
            let file = try PoseFile(contentsOf: path)
            for index in 0..<file.count {
                guard !file.names[index].isEmpty else {
                    throw DataError(
                        "\(printable(path)):\(file.lines[index]): no frame's name in front of the numbers; hint: a line is "
                            + "`path u1 v1 d1 ... u16 v16 d16`")
                }
                labels[Substring(file.names[index])] = Array(file[index])
            }
        }
    }

    /// The label whose name a path ends in, folder by folder.
    package func label(of path: String) -> [Double]? {
        guard !labels.isEmpty else { return nil }
        var rest = path[...]
        while true {
            if let label = labels[rest] { return label }
            guard let slash = rest.firstIndex(of: "/") else { return nil }
            rest = rest[rest.index(after: slash)...]
        }
    }
}
