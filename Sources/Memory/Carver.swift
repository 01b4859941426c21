/// What memory is for.
package enum MemoryKind: String, Sendable, Codable, CaseIterable {
    case parameters, gradients
    /// Of an optimiser, such as moments.
    case state
    /// Outputs of layers, kept for the backward pass.
    case activations
    /// Gradients of activations, on their way through the backward pass.
    case activationGradients = "activation-gradients"
    /// What layers need beside: packed weights, winners of pooling, sums of threads.
    case workspace
}

/// Gives out the memory of tensors: run once to count bytes, once to carve them from an arena, so that what is counted is what
/// is taken.
package struct Carver {
    private let arena: Arena?
    /// Bytes given out so far.
    package private(set) var bytes = 0
    /// The same, by what it is for.
    package private(set) var bytesByKind: [MemoryKind: Int] = [:]
    /// What the memory given out next is for.
    package var kind = MemoryKind.workspace

    /// Counts only: what it gives must not be touched.
    package init() { arena = nil }

    /// Carves from `arena`, which must outlive what it gives.
    package init(_ arena: Arena) { self.arena = arena }

    /// Whether it counts only.
    package var isCounting: Bool { arena == nil }

    /// Room for `count` elements.
    package mutating func carve<Element: BitwiseCopyable>(
        _ type: Element.Type, count: Int
    ) -> UnsafeMutableBufferPointer<Element> {
        bytes += Arena.bytes(type, count: count)
        bytesByKind[kind, default: 0] += Arena.bytes(type, count: count)
        if let arena { return arena.carve(type, count: count) }
        return UnsafeMutableBufferPointer(start: UnsafeMutablePointer(bitPattern: Arena.alignment), count: count)
    }

    /// Room for `count` floats.
    package mutating func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
        carve(Float.self, count: count).baseAddress!
    }

    /// Room for `count` floats of a kind.
    package mutating func floats(_ count: Int, for kind: MemoryKind) -> UnsafeMutablePointer<Float> {
        let others = self.kind
        defer { self.kind = others }
        self.kind = kind
        return floats(count)
    }

    /// Room for `count` floats for each of `threads` threads.
    package mutating func floats(_ count: Int, of threads: Int) -> [UnsafeMutablePointer<Float>] {
        (0..<threads).map { _ in floats(count) }
    }
}
