import Checkpoints

/// The page that shows a run, or compares several: one HTML file without links to others.
package enum Report {
    /// The page of a run, or of several compared.
    /// - Parameter paths: run directories, at least one.
    /// - Throws: `ReportError` where one is no run directory.
    package static func html(_ paths: [String]) throws(ReportError) -> String {
        var runs: [RunRecord] = []
        for path in paths { runs.append(try RunRecord(path)) }
        if runs.count == 1 { return RunPage(run: runs[0]).html() }
        // Runs of one name are told apart by their paths.
        let names = runs.map(\.name)
        for index in runs.indices where names.count(where: { $0 == names[index] }) > 1 { runs[index].name = runs[index].path }
        return ComparisonPage(runs: runs).html()
    }

    /// Writes the page; a reader sees the old file or the new one, never a part.
    /// - Parameter file: nil: `report.html` in the run directory; of several runs, `comparison.html` in the working directory.
    /// - Returns: the file's path, and its size in bytes.
    /// - Throws: `ReportError`.
    @discardableResult
    package static func write(_ paths: [String], to file: String? = nil) throws(ReportError) -> (path: String, bytes: Int) {
        let bytes = Array(try html(paths).utf8)
        var path = file ?? "comparison.html"
        if file == nil, paths.count == 1 { path = (paths[0].hasSuffix("/") ? paths[0] : paths[0] + "/") + "report.html" }
        do {
            try AtomicFile.write(path, bytes)
        } catch {
            throw ReportError(description: error.hint == nil ? "\(error); hint: --output FILE.html writes it elsewhere" : "\(error)")
        }
        return (path, bytes.count)
    }
}
