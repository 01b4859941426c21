import Memory
import Optimizers
import System
import Testing
import TestOracle

@Suite("Averaged weights")
struct AveragedWeightsTests {
    /// Weights and their averages.
    private struct Rig {
        let arena: Arena
        let weights: UnsafeMutablePointer<Float>
        let averaged: AveragedWeights
        let team: WorkerTeam
        let table: ParameterTable

        init(
            _ settings: AveragedWeights.Configuration, table: ParameterTable = OptimizerRig.table, holding held: HeldRanges? = nil,
            threads: Int = 1
        ) throws {
            self.table = table
            let bytes = AveragedWeights.bytes(holding: held ?? HeldRanges(all: table))
            arena = try Arena(capacity: bytes + Arena.bytes(Float.self, count: table.count))
            weights = arena.carve(Float.self, count: table.count).baseAddress!
            averaged = AveragedWeights(settings, weights: weights, table: table, holding: held, arena: arena)
            team = try WorkerTeam(count: threads)
        }

        func set(_ values: [Float]) {
            for parameter in table.parameters { for index in parameter.range { weights[index] = values[index] } }
        }
        var current: [Float] { (0..<table.count).map { weights[$0] } }
        var averages: [Float] { (0..<averaged.held.count).map { averaged.values[$0] } }
        var trained: [Int] { table.parameters.filter(\.role.isTrained).flatMap(\.range) }
        var others: [Int] { table.parameters.filter { !$0.role.isTrained }.flatMap(\.range) }
    }

    private static func courses(_ steps: Int, count: Int = OptimizerRig.count) -> [[Float]] {
        var values = TestValues(seed: 31)
        return (0..<steps).map { _ in values.uniform(count).floats }
    }

    @Test("agree with the formula in Double, and copy what is not trained", arguments: [false, true])
    func formula(warmsUp: Bool) throws {
        let rig = try Rig(AveragedWeights.Configuration(decay: 0.9, warmsUp: warmsUp))
        let courses = Self.courses(30)
        rig.set(courses[0])
        rig.averaged.begin(team: rig.team)
        var expected = courses[0].doubles
        for (step, weights) in courses.enumerated().dropFirst() {
            rig.set(weights)
            rig.averaged.update(team: rig.team)
            let decay = warmsUp ? min(0.9, (1 + Double(step)) / (10 + Double(step))) : 0.9
            for index in expected.indices { expected[index] = expected[index] * decay + Double(weights[index]) * (1 - decay) }
        }
        #expect(rig.averaged.updates == 29)
        let (averages, last) = (rig.averages, courses[29])
        // Values below 1; an average forgets its three roundings a step in ten steps.
        #expect(
            mismatch(rig.trained.map { averages[$0] }, rig.trained.map { expected[$0] }, tolerance: 15 * Double(Float.ulpOfOne))
                == nil)
        #expect(rig.others.map { averages[$0] } == rig.others.map { last[$0] })
    }

    @Test("the bits do not depend on threads, nor on who holds what")
    func sameBits() throws {
        let table = ParameterTable([
            ParameterDeclaration("w", [150_001]), ParameterDeclaration("s", [70_000], role: .statistic),
            ParameterDeclaration("v", [33], isTiled: true),
        ])
        let (settings, courses) = (AveragedWeights.Configuration(decay: 0.99), Self.courses(3, count: table.count))
        func run(_ threads: Int, _ held: HeldRanges?) throws -> Rig {
            let rig = try Rig(settings, table: table, holding: held, threads: threads)
            rig.set(courses[0])
            rig.averaged.begin(team: rig.team)
            for course in courses.dropFirst() {
                rig.set(course)
                rig.averaged.update(team: rig.team)
            }
            return rig
        }
        let one = try run(1, nil).averages
        for threads in 2...4 { #expect(bitDifference(one, try run(threads, nil).averages) == nil) }
        let gathered = GuardedBuffer(overwriting: table.count)
        for index in 0..<table.count { gathered.start[index] = 0 }
        for held in [HeldRanges([0..<77, 100_000..<150_010]), HeldRanges([77..<100_000, 150_010..<table.count])] {
            let part = try run(2, held)
            part.averaged.copy(into: gathered.start, team: part.team)
        }
        #expect(bitDifference(one, gathered.values) == nil)
        #expect(gathered.isIntact)
    }

    @Test("take the weights' place and give it back")
    func swap() throws {
        let rig = try Rig(AveragedWeights.Configuration(decay: 0.5))
        let courses = Self.courses(2)
        rig.set(courses[0])
        rig.averaged.begin(team: rig.team)
        rig.set(courses[1])
        rig.averaged.update(team: rig.team)
        let (weights, averages) = (rig.current, rig.averages)
        #expect(weights != averages)
        rig.averaged.swap(team: rig.team)
        #expect(rig.averaged.isSwapped)
        #expect(bitDifference(rig.current, averages) == nil)
        #expect(bitDifference(rig.averages, weights) == nil)
        rig.averaged.swap(team: rig.team)
        #expect(!rig.averaged.isSwapped)
        #expect(bitDifference(rig.current, weights) == nil)
        #expect(bitDifference(rig.averages, averages) == nil)
    }

    @Test("go on from their values and number of updates with the same bits")
    func resume() throws {
        let settings = AveragedWeights.Configuration(decay: 0.9, warmsUp: true)
        let (steady, resumed, courses) = (try Rig(settings), try Rig(settings), Self.courses(8))
        steady.set(courses[0])
        steady.averaged.begin(team: steady.team)
        for course in courses[1..<4] {
            steady.set(course)
            steady.averaged.update(team: steady.team)
        }
        resumed.averaged.values.update(from: steady.averaged.values, count: steady.averaged.held.count)
        resumed.averaged.restore(updates: 3)
        for course in courses[4...] {
            for rig in [steady, resumed] {
                rig.set(course)
                rig.averaged.update(team: rig.team)
            }
        }
        #expect(bitDifference(steady.averages, resumed.averages) == nil)
    }

    @Test("a decay outside 0 to 1 is refused", arguments: [0, 1, -0.5, 1.5, .nan, .infinity])
    func refused(decay: Double) {
        let problem = AveragedWeights.Configuration(decay: decay).problem
        #expect(problem?.hasPrefix("--ema is \(decay); hint: ") == true)
        #expect(AveragedWeights.Configuration().problem == nil)
    }
}
