/// The program's version, which `dtrain --version` prints and a run notes.
package enum Version {
    package static let text = "0.1.0"
}
