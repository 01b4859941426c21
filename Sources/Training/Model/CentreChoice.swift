import HandData
package import Optimizers

/// Where the crops of a run are put. As text: `com`, `labels`, or one or two files with a comma between.
package enum CentreChoice: SettingText, Equatable {
    /// At the centre of mass of the nearest hand-sized surface.
    case com
    /// At the mean of the true joints: no unknown frame tells it.
    case labels
    /// At given centres: of the frames that the training label file lists, and of the test frames.
    case files(training: String, test: String?)

    package init(parsing text: String) throws(SettingError) {
        switch text {
        case "com": self = .com
        case "labels": self = .labels
        default:
            let paths = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            guard paths.count <= 2, !paths.contains("") else {
                throw SettingError(description: "--centre is '\(text)'; hint: com, labels, FILE, or TRAINING-FILE,TEST-FILE")
            }
            self = .files(training: paths[0], test: paths.count == 2 ? paths[1] : nil)
        }
    }

    package var description: String {
        switch self {
        case .com: "com"
        case .labels: "labels"
        case .files(let training, let test): ([training] + (test.map { [$0] } ?? [])).joined(separator: ",")
        }
    }
}

/// Where the crops of each part of a run's data are put.
struct PartCentres {
    let training: CentreFinder
    let heldOut: CentreFinder
    /// Nil: there are no centres for the test frames.
    let test: CentreFinder?

    /// The same way everywhere.
    init(_ finder: CentreFinder) { (training, heldOut, test) = (finder, finder, finder) }

    private init(training: CentreFinder, heldOut: CentreFinder, test: CentreFinder?) {
        (self.training, self.heldOut, self.test) = (training, heldOut, test)
    }

    /// Of hands that are rendered in memory.
    /// - Throws: `TrainingFailure` for files.
    static func synthetic(_ choice: CentreChoice) throws -> PartCentres {
        switch choice {
        case .com: return PartCentres(.com)
        case .labels: return PartCentres(.labels)
        case .files(let path, _):
            throw TrainingFailure(
                "--centre \(path): centres in a file are of the frames of a data set; hint: give its --data too", exitCode: 64)
        }
    }

    /// Reads the files that `choice` names; every rank reads its own.
    /// - Throws: `DataError` for files that do not fit the label files, line by line; `TrainingFailure` where one is missing.
    static func read(_ choice: CentreChoice, of set: ICVLDataSet) throws -> PartCentres {
        guard case .files(let path, let testPath) = choice else { return try synthetic(choice) }
        guard set.malformedCount == 0 else {
            throw DataError(
                "\(set.malformed.first.map { "\($0)" } ?? "a label line is malformed"); hint: centres in a file are matched with the lines of "
                    + "the label files, which must all be whole: repair it")
        }
        let listed = try CentreTable(contentsOf: path, count: set.listedCount)
        let training = CentreFinder.file(listed.selecting(set.training.places))
        if set.validatesOnTest {
            guard let testPath else {
                throw TrainingFailure(
                    "--centre \(path) has no centres of the test frames, which --validation test needs; "
                        + "hint: --centre TRAINING-FILE,TEST-FILE", exitCode: 64)
            }
            let test = CentreFinder.file(try CentreTable(contentsOf: testPath, count: set.heldOut.count))
            return PartCentres(training: training, heldOut: test, test: nil)
        }
        var test: CentreFinder?
        if let testPath, let frames = set.test { test = .file(try CentreTable(contentsOf: testPath, count: frames.count)) }
        return PartCentres(training: training, heldOut: .file(listed.selecting(set.heldOut.places)), test: test)
    }

    /// Without the samples that are left out of each part.
    func removing(training: [Int], heldOut: [Int], test: [Int]) -> PartCentres {
        func removing(_ finder: CentreFinder, _ indices: [Int]) -> CentreFinder {
            guard case .file(let table) = finder, !indices.isEmpty else { return finder }
            return .file(table.removing(indices))
        }
        return PartCentres(
            training: removing(self.training, training), heldOut: removing(self.heldOut, heldOut),
            test: self.test.map { removing($0, test) })
    }

    /// Changes when a given centre does; 0 without files.
    var fingerprint: UInt64 {
        [training, heldOut, test].compactMap { $0 }.reduce(0) { sum, finder in
            if case .file(let table) = finder { sum &* 31 &+ table.fingerprint } else { sum }
        }
    }

    /// Of the training samples alone.
    var trainingFingerprint: UInt64 { if case .file(let table) = training { table.fingerprint } else { 0 } }
}
