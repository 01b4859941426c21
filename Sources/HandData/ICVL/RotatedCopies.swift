/// Which of ICVL's training frames are used: the data set holds each 15 times, 14 of them rotated in the image plane.
package enum Rotations: String, CaseIterable, Sendable, Codable {
    /// The originals alone: 22,068 of 331,006.
    case none
    /// Originals and rotated copies.
    case all
}

/// What the path of a training frame says about it.
enum FramePath {
    /// Where the original's path starts in the path of a rotated copy, `22-5/201403121135/image_0000.png` (an angle, in
    /// which '-' stands for the point or the sign, then a 12-digit sequence), or nil for every other path.
    static func originalStart(_ path: some RandomAccessCollection<UInt8>) -> Int? {
        let slash = UInt8(ascii: "/")
        guard let first = path.firstIndex(of: slash) else { return nil }
        let rest = path[path.index(after: first)...]
        guard let second = rest.firstIndex(of: slash) else { return nil }
        let angle = path[..<first]
        let sequence = rest[..<second]
        guard (1...7).contains(angle.count), angle.contains(where: isDigit),
            angle.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }),
            sequence.count == 12, sequence.allSatisfy(isDigit)
        else { return nil }
        return path.distance(from: path.startIndex, to: rest.startIndex)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}
