import CLinux

/// The layers there are. Each layer's file enters its own, so that a new one is a file and nothing else:
///
///     @section("dtrain_layers") @used private let entry: LayerCatalog.Entry = { LayerCatalog.add(Swish.self, to: $0) }
package enum LayerCatalog {
    /// Adds a layer's type to the list that it is given. The linker puts all of them side by side in one section of the program
    /// (SE-0492); no start of a process has to run for that.
    typealias Entry = @convention(c) (UnsafeMutableRawPointer) -> Void

    /// By their names in files.
    package static let types: [any LayerDescription.Type] = {
        var types: [any LayerDescription.Type] = []
        withUnsafeMutablePointer(to: &types) { types in
            for entry in UnsafeBufferPointer(start: dtrain_first_layer(), count: dtrain_layer_count()) { entry!(types) }
        }
        return types.sorted { $0.kind < $1.kind }
    }()

    /// Their names in files.
    package static var kinds: [String] { types.map { $0.kind } }

    static func type(of kind: String) -> (any LayerDescription.Type)? { types.first { $0.kind == kind } }

    /// - Parameter list: what an entry is given.
    static func add(_ type: any LayerDescription.Type, to list: UnsafeMutableRawPointer) {
        list.assumingMemoryBound(to: [any LayerDescription.Type].self).pointee.append(type)
    }
}
