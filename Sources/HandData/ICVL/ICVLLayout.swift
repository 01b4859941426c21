/// Where the parts of an ICVL data set lie below the directory that the user named.
struct ICVLLayout: Equatable {
    let trainingLabels: String
    let trainingDepth: String
    /// test_seq_1.txt, test_seq_2.txt, ...; empty where there is no test set.
    let testLabels: [String]
    let testDepth: String

    /// Looks for both layouts in the wild (`Training/` and `Testing/`, or `train.txt` with `Depth/`), and for a
    /// `directory` that is itself the training folder.
    /// - Throws: `DataError` naming what was looked for where nothing fits.
    static func find(in directory: String) throws(DataError) -> ICVLLayout {
        switch fileKind(directory) {
        case .directory: break
        case .absent:
            throw DataError(
                "no data directory \(printable(directory)); hint: --data DIR is the folder that holds Training and Testing"
            )
        default:
            throw DataError(
                "\(printable(directory)) is not a directory; hint: --data DIR is the folder that holds Training and Testing"
            )
        }
        let root = directory.count > 1 && directory.hasSuffix("/") ? String(directory.dropLast()) : directory

        let candidates = ["Training/labels.txt", "Training/train.txt", "train.txt", "labels.txt"]
        guard let labels = candidates.first(where: { fileKind("\(root)/\($0)") == .regular }) else {
            throw DataError(
                "no training labels in \(printable(root)): looked for \(candidates.joined(separator: ", ")); "
                    + "hint: --data DIR is the folder that holds Training and Testing")
        }
        let trainingFolders = labels.hasPrefix("Training/") ? ["Training/Depth"] : ["Depth", "Training/Depth"]
        let trainingDepth = try depthFolder(trainingFolders, in: root, of: labels)

        let (testLabels, testFolders) = try findTest(in: root)
        let testDepth = testLabels.isEmpty ? "" : try depthFolder(testFolders, in: root, of: testLabels[0])
        return ICVLLayout(
            trainingLabels: "\(root)/\(labels)", trainingDepth: trainingDepth,
            testLabels: testLabels.map { "\(root)/\($0)" }, testDepth: testDepth)
    }

    /// The test sequences alone, of a directory that need hold nothing else.
    /// - Throws: `DataError` where there are none, or their frames are not there.
    static func findTestAlone(in directory: String) throws(DataError) -> (labels: [String], depth: String) {
        guard fileKind(directory) == .directory else {
            throw DataError("no data directory \(printable(directory)); hint: --data DIR is the folder that holds Testing")
        }
        let root = directory.count > 1 && directory.hasSuffix("/") ? String(directory.dropLast()) : directory
        let (labels, folders) = try findTest(in: root)
        guard !labels.isEmpty else {
            throw DataError(
                "no test labels in \(printable(root)): looked for Testing/test_seq_*.txt, Testing/labels.txt, test_seq_*.txt; "
                    + "hint: --data DIR is the folder that holds Testing, or --split training")
        }
        return (labels.map { "\(root)/\($0)" }, try depthFolder(folders, in: root, of: labels[0]))
    }

    private static func depthFolder(
        _ candidates: [String], in root: String, of labels: String
    ) throws(DataError) -> String {
        guard let folder = candidates.first(where: { fileKind("\(root)/\($0)") == .directory }) else {
            throw DataError(
                "\(printable("\(root)/\(labels)")) is there, but its frames are not: looked for the folder "
                    + "\(candidates.joined(separator: " or ")); hint: unpack the depth frames there")
        }
        return "\(root)/\(folder)"
    }

    private static func findTest(in root: String) throws(DataError) -> (labels: [String], folders: [String]) {
        if fileKind("\(root)/Testing") == .directory {
            var labels = try testSequences("\(root)/Testing")
            if labels.isEmpty, fileKind("\(root)/Testing/labels.txt") == .regular { labels = ["labels.txt"] }
            if !labels.isEmpty { return (labels.map { "Testing/\($0)" }, ["Testing/Depth"]) }
        }
        return (try testSequences(root), ["Testing/Depth", "Depth"])
    }

    /// The names test_seq_*.txt in `folder`, shorter ones first so that 10 follows 9.
    private static func testSequences(_ folder: String) throws(DataError) -> [String] {
        try directoryEntries(folder)
            .filter { $0.hasPrefix("test_seq_") && $0.hasSuffix(".txt") && fileKind("\(folder)/\($0)") == .regular }
            .sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
    }
}
