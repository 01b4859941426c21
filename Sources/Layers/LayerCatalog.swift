/// The layers there are: a new one is its file and its row here.
package enum LayerCatalog {
    package static let types: [any LayerDescription.Type] = [
        Convolution.self, DepthwiseConvolution.self, BatchNormalization.self, Activation.self, MaxPooling.self, AveragePooling.self, Upsampling.self,
        Dropout.self, FullyConnected.self, Residual.self, Branches.self, Intermediate.self, Region.self, Channels.self, PoseBasis.self,
        SoftArgmax.self, JointGraph.self, WindowStem.self,
    ]

    /// Their names in files.
    package static var kinds: [String] { types.map { $0.kind } }

    static func type(of kind: String) -> (any LayerDescription.Type)? { types.first { $0.kind == kind } }
}
