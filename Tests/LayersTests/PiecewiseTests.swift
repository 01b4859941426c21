import Layers
import Memory
import Synchronization
import Testing
import TestOracle

/// Layers that wait for other ranks, in branches.
@Suite("Layers in pieces")
struct PiecewiseTests {
    /// What was run in which order.
    private final class Diary: Sendable {
        let entries = Mutex<[String]>([])
        func note(_ entry: String) { entries.withLock { $0.append(entry) } }
        func read() -> [String] {
            entries.withLock { entries in
                defer { entries = [] }
                return entries
            }
        }
    }

    /// y = factor x, in so many pieces, each of which is noted.
    private struct Pieces: LayerDescription {
        static let kind = "pieces"
        static let result = "as the input"
        static let example: String? = nil
        static var members: [Member<Pieces>] { [] }
        var name = ""
        var pieces = 1
        var factor: Float = 1
        var diary = Diary()

        init() {}
        init(_ name: String, pieces: Int, factor: Float, _ diary: Diary) {
            (self.name, self.pieces, self.factor, self.diary) = (name, pieces, factor, diary)
        }
        func output(of input: Shape) -> Shape { input }
        func make(_ input: Shape, _ builder: inout LayerBuilder) -> any Layer { Running(self, input, &builder) }
        func onnx(_ x: ONNXValue, _ place: ExportPlace, _ graph: inout ONNXGraph) -> ONNXValue { x }
        func torch(_ x: TorchValue, _ place: ExportPlace, _ module: inout TorchModule) -> TorchValue { x }
    }

    private final class Running: PiecewiseLayer {
        private let layer: Pieces
        private let count: Int
        private let y: UnsafeMutablePointer<Float>

        init(_ layer: Pieces, _ input: Shape, _ builder: inout LayerBuilder) {
            self.layer = layer
            count = input.count
            y = builder.activation(input)
        }

        private func pieces(_ way: String, _ last: @escaping () -> UnsafeMutablePointer<Float>) -> LayerPieces {
            LayerPieces(
                (1...layer.pieces).map { number in
                    {
                        self.layer.diary.note("\(way) \(self.layer.name)\(number)")
                        return number == self.layer.pieces ? last() : nil
                    }
                })
        }

        func forwardPieces(_ x: UnsafeMutablePointer<Float>, _ pass: Pass) -> LayerPieces {
            let count = pass.samples * count
            return pieces("forward") {
                for index in 0..<count { self.y[index] = self.layer.factor * x[index] }
                return self.y
            }
        }

        func backwardPieces(_ dy: UnsafeMutablePointer<Float>, _ pass: Pass) -> LayerPieces {
            let count = pass.samples * count
            return pieces("backward") {
                for index in 0..<count { dy[index] *= self.layer.factor }
                return dy
            }
        }

        func planBackward(_ plan: inout GradientPlan) {}
    }

    @Test("branches that wait run by turns, four at a time, with the values of one after the other")
    func byTurns() throws {
        let diary = Diary()
        let factors: [Float] = [2, 3, 5, 7, 11]
        func branch(_ number: Int, pieces: Int) -> [LayerNode] {
            [
                LayerNode(Region(rows: 0..<2, columns: number..<number + 1)),
                LayerNode(Pieces("\(number)", pieces: pieces, factor: factors[number], diary)),
            ]
        }
        let input = Shape(height: 2, width: 5, channels: 1)
        let rig = try LayerRig([LayerNode(Branches((0..<5).map { branch($0, pieces: $0 == 1 ? 1 : 2) }))], input, samples: 2)
        let x = (0..<20).map { Double($0 + 1) }
        let y = try rig.forward(x, mode: .training)
        #expect(
            diary.read().map { $0.dropFirst("forward ".count) } == ["01", "11", "21", "31", "02", "41", "22", "32", "42"],
            "the second branch has no second piece, and the fifth takes its place")
        // (sample, row, branch) of (sample, row, column).
        #expect(y == x.enumerated().map { Float($1) * factors[$0 % 5] })
        let gradients = try rig.backward(x)
        #expect(diary.read().map { $0.dropFirst("backward ".count) } == ["41", "31", "21", "11", "42", "32", "22", "01", "02"])
        #expect(gradients.x == y)
    }

    @Test("one after the other where they are added, or stand alone")
    func inOrder() throws {
        let diary = Diary()
        let input = Shape(height: 1, width: 1, channels: 2)
        let both = [[LayerNode(Pieces("a", pieces: 2, factor: 2, diary))], [LayerNode(Pieces("b", pieces: 3, factor: 3, diary))]]
        let rig = try LayerRig([LayerNode(Branches(both, join: .add))] + both.flatMap { $0 }, input, samples: 1)
        #expect(try rig.forward([1, 10], mode: .training) == [30, 300])
        #expect(diary.read().map { $0.dropFirst("forward ".count) } == ["a1", "a2", "b1", "b2", "b3", "a1", "a2", "b1", "b2", "b3"])
        #expect(try rig.backward([1, 1]).x == [30, 30])
    }
}
