/// Element types of the safetensors format, by their names in a header (`Dtype` of the reference library).
package enum ElementType: String, CaseIterable, Sendable {
    case bool = "BOOL"
    case uint8 = "U8"
    case int8 = "I8"
    case float8E5M2 = "F8_E5M2"
    case float8E4M3 = "F8_E4M3"
    case int16 = "I16"
    case uint16 = "U16"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case int32 = "I32"
    case uint32 = "U32"
    case float32 = "F32"
    case float64 = "F64"
    case int64 = "I64"
    case uint64 = "U64"

    /// Size of one element, bytes.
    package var byteCount: Int {
        switch self {
        case .bool, .uint8, .int8, .float8E5M2, .float8E4M3: 1
        case .int16, .uint16, .float16, .bfloat16: 2
        case .int32, .uint32, .float32: 4
        case .float64, .int64, .uint64: 8
        }
    }
}

/// A row of a file's table: the name, element type and shape of one tensor, row-major.
package struct TensorEntry: Hashable, Sendable {
    package let name: String
    package let type: ElementType
    /// Extents, outermost first; none of them negative; empty for a scalar.
    package let shape: [Int]

    package init(name: String, type: ElementType = .float32, shape: [Int]) {
        self.name = name
        self.type = type
        self.shape = shape
    }

    /// Product of the extents; nil where it, or the size in bytes, exceeds `Int`, or an extent is negative.
    var checkedElementCount: Int? {
        guard shape.allSatisfy({ $0 >= 0 }) else { return nil }
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            if overflow { return nil }
            count = product
        }
        return count.multipliedReportingOverflow(by: type.byteCount).overflow ? nil : count
    }

    /// Number of elements. A trap for a shape that no file of this module can hold.
    package var elementCount: Int {
        guard let count = checkedElementCount else { preconditionFailure("tensor \(name): shape \(shape)") }
        return count
    }

    /// Size, bytes.
    package var byteCount: Int { elementCount * type.byteCount }
}
