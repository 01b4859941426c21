/// Text that is written whole or not at all.
package enum TextFile {
    /// Writes `text` under a temporary name beside `path` and renames.
    /// - Throws: `DataError`.
    package static func write(_ text: String, to path: String) throws(DataError) {
        let bytes = Array(text.utf8)
        let result: Result<Void, DataError> = bytes.withUnsafeBytes { bytes in
            Result { () throws(DataError) in try writeAtomically(bytes, to: path) }
        }
        try result.get()
    }

    /// Makes a directory and its missing parents.
    /// - Throws: `DataError`.
    package static func makeDirectory(_ path: String) throws(DataError) { try createDirectories(path) }
}
