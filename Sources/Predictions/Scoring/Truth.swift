package import HandData

/// The labels that predictions are compared with: those of one or more files, one after the other.
package struct Truth: Sendable {
    package let files: [PoseFile]
    /// Names of all frames; empty where the files have none.
    package let names: [String]
    /// The file of each frame, as a number.
    private let fileOf: [Int]

    package var count: Int { fileOf.count }

    /// - Throws: `DataError` for a file that cannot be read or is no label file.
    package init(contentsOf paths: [String]) throws(DataError) {
        var files: [PoseFile] = []
        for path in paths { files.append(try PoseFile(contentsOf: path)) }
        self.init(files)
    }

    package init(_ files: [PoseFile]) {
        self.files = files
        names = files.flatMap(\.names)
        fileOf = files.indices.flatMap { Array(repeating: $0, count: files[$0].count) }
    }

    /// Places of all joints, (count, 16), mm: labels are (u px, v px, d mm).
    package func places(camera: Camera) -> [SIMD3<Double>] {
        files.flatMap { $0.places(.uvd, order: Array(0..<$0.count), camera: camera) }
    }

    /// The sequence of each frame: the folder of its name, or the label file.
    package var sequences: [String] {
        zip(names, fileOf).map { name, file in
            if let slash = name.lastIndex(of: "/") { return String(name[..<slash]) }
            return String(files[file].path.split(separator: "/").last ?? "")
        }
    }

    // MARK: Which prediction is of which frame

    /// How predictions were matched with labels.
    package enum Matching: String, Sendable {
        case byLine = "line"
        case byName = "name"
    }

    /// The prediction of each frame.
    ///
    /// By name where both have names that tell the frames apart; else line by line.
    /// - Throws: `DataError` where there are not as many predictions as labels, or names that do not fit.
    package func match(_ poses: PoseFile) throws(DataError) -> (order: [Int], matching: Matching) {
        let named = zip(poses.names, poses.lines).filter { !$0.0.isEmpty && Double($0.0) == nil }
        let labelled = names.filter { !$0.isEmpty }
        if named.count == poses.count, labelled.count == count, let order = try matchNames(poses) { return (order, .byName) }
        guard poses.count == count else {
            throw DataError(
                "\(printable(poses.path)): \(poses.count) predictions for \(count) labels (\(Self.counts(files))); hint: give the label files of the "
                    + "frames that were predicted, in their order")
        }
        return (Array(0..<count), .byLine)
    }

    private static func counts(_ files: [PoseFile]) -> String {
        files.map { "\($0.count) in \(printable($0.path))" }.joined(separator: ", ")
    }

    /// Nil where names do not tell the frames apart, as of files that leave the sequence out.
    private func matchNames(_ poses: PoseFile) throws(DataError) -> [Int]? {
        let keys = names.map(Self.key)
        let predicted = poses.names.map(Self.key)
        guard Set(keys).count == keys.count || poses.count != count else { return predicted == keys ? Array(0..<count) : nil }
        var places: [String: Int] = [:]
        for (index, key) in predicted.enumerated() {
            guard places.updateValue(index, forKey: key) == nil else {
                // The names of two sequences are alike without it.
                if Set(predicted).count * 2 <= predicted.count + 1 || poses.count == count { return nil }
                throw DataError("\(printable(poses.path)):\(poses.lines[index]): a second prediction of \(printable(poses.names[index]))")
            }
        }
        let order = keys.map { places[$0] }
        if order.allSatisfy({ $0 != nil }), places.count == count { return order.map { $0! } }
        if let suffixes = Self.bySuffix(keys, predicted) { return suffixes }
        if poses.count == count && order.allSatisfy({ $0 == nil }) { return nil }
        if let missing = order.firstIndex(where: { $0 == nil }) {
            throw DataError(
                "\(printable(poses.path)): no prediction of \(printable(names[missing])) (\(Self.counts(files))); "
                    + "hint: give the label files of the frames that were predicted")
        }
        let known = Set(keys)
        let extra = predicted.firstIndex { !known.contains($0) } ?? 0
        throw DataError(
            "\(printable(poses.path)):\(poses.lines[extra]): \(printable(poses.names[extra])) is none of the labelled frames "
                + "(\(Self.counts(files))); hint: give the label files of all frames that were predicted")
    }

    /// Where one side has folders in front that the other leaves out: the last two parts of the names.
    private static func bySuffix(_ keys: [String], _ predicted: [String]) -> [Int]? {
        func tail(_ name: String) -> String { name.split(separator: "/").suffix(2).joined(separator: "/") }
        let places = Dictionary(predicted.indices.map { (tail(predicted[$0]), $0) }, uniquingKeysWith: { _, last in last })
        let order = keys.compactMap { places[tail($0)] }
        return places.count == predicted.count && order.count == keys.count && Set(order).count == predicted.count ? order : nil
    }

    /// Names are compared without their ending: some leave it out.
    private static func key(_ name: String) -> String {
        let slash = name.lastIndex(of: "/") ?? name.startIndex
        guard let dot = name[slash...].lastIndex(of: "."), dot > slash else { return name }
        return String(name[..<dot])
    }
}

/// The field's evaluator: a file of predictions against label files.
package enum Scorer {
    /// What a file of predictions was read as, beside its score.
    package struct Outcome: Sendable {
        package let score: Score
        package let format: PoseFormat
        package let matching: Truth.Matching
    }

    /// - Parameters:
    ///   - format: nil: found out.
    /// - Throws: `DataError`.
    package static func score(
        _ poses: PoseFile, against truth: Truth, format: PoseFormat?, intrinsics: Intrinsics
    ) throws(DataError) -> Outcome {
        let camera = intrinsics.camera()
        let (order, matching) = try truth.match(poses)
        let places = truth.places(camera: camera)
        let found: PoseFormat
        if let format { found = format } else { found = try .detect(poses, order: order, truth: places, camera: camera) }
        let errors = JointErrors(poses.places(found, order: order, camera: camera), places)
        var facts = Score.Facts(centre: nil, intrinsics: intrinsics.name)
        facts.others = [("format", found.rawValue), ("matched_by", matching.rawValue)]
        return Outcome(score: Score(errors, sequences: truth.sequences, facts: facts), format: found, matching: matching)
    }
}
