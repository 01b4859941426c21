import Diagnosis
import Testing

/// Each detector of training, through `TrainingDiagnosis`, by made-up facts: told once, with a cure, and not in good health.
struct TrainingDetectorTests {
    private func run(ranks: Int = 1) -> RunFacts {
        var run = RunFacts()
        run.hosts = (0..<ranks).map { "node\($0)" }
        run.shard = (most: 4, fewest: 4)
        run.readsFiles = true
        run.exchange = "allreduce"
        run.bestExchange = ("split", 12)
        return run
    }

    private func lines(_ run: RunFacts, _ all: [TrainingFacts]) -> [String] {
        var diagnosis = TrainingDiagnosis(run)
        return all.flatMap { diagnosis.lines($0) }
    }

    /// Windows of ten steps, 10 s each.
    private func windows(_ count: Int, ranks: Int = 1, _ change: (inout [RankPace], Int) -> Void = { _, _ in }) -> [TrainingFacts] {
        (0..<count).map { window in
            var pace = RankPace()
            (pace.elapsed, pace.loading, pace.computing, pace.exchanging) = (10, 0.5, 8, 1)
            var all = Array(repeating: pace, count: ranks)
            change(&all, window)
            var facts = TrainingFacts(step: 10 * window + 11)
            facts.pace = (first: 10 * window + 1, last: 10 * window + 10, ranks: all)
            return facts
        }
    }

    private func expectOne(_ lines: [String], _ words: String, step: Int) {
        #expect(lines.count == 1, "\(lines)")
        for line in lines {
            #expect(line.hasPrefix("step \(step): ") && line.contains(words), "\(line)")
            #expect(line.contains("; hint: ") && !line.contains("\n"))
        }
    }

    @Test(arguments: [1, 2, 5]) func aSteadyPaceIsSilent(ranks: Int) {
        #expect(lines(run(ranks: ranks), windows(20, ranks: ranks)) == [])
    }

    // MARK: One rank slow

    @Test(arguments: [2, 3, 8]) func aSlowRankIsNamedWithHowMuchAndSinceWhen(ranks: Int) {
        let facts = windows(8, ranks: ranks) { all, window in if window >= 2 { all[1].computing = 20 } }
        expectOne(
            lines(run(ranks: ranks), facts),
            "rank 1 on node1 is slow since step 21: its own work takes 2050 ms a step, that of the others 850 ms", step: 51)
    }

    @Test func theCureGoesByTheCause() {
        let storage = windows(8, ranks: 2) { all, _ in all[1].loading = 12 }
        expectOne(lines(run(ranks: 2), storage), "hint: it waits for frames", step: 41)
        let processor = windows(8, ranks: 2) { all, _ in (all[1].computing, all[1].withoutProcessor) = (20, 8) }
        expectOne(lines(run(ranks: 2), processor), "hint: it waits for a processor", step: 41)
    }

    @Test func changingRanksShortStepsAndUnevenShardsAreNoSlowRank() {
        #expect(lines(run(ranks: 2), windows(20, ranks: 2) { all, window in all[window % 2].computing = 20 }) == [])
        let short = windows(20, ranks: 2) { all, _ in
            for rank in 0..<2 {
                (all[rank].elapsed, all[rank].loading, all[rank].computing) = (0.2, 0, rank == 0 ? 0.05 : 0.2)
                all[rank].exchanging = 0
            }
        }
        #expect(lines(run(ranks: 2), short) == [])
        var uneven = run(ranks: 2)
        uneven.shard = (most: 2, fewest: 1)
        #expect(lines(uneven, windows(20, ranks: 2) { all, _ in all[1].computing = 16 }) == [])
    }

    // MARK: Where the time goes

    @Test func aLoaderThatStarvesIsTold() {
        let facts = windows(6) { all, _ in (all[0].loading, all[0].computing) = (6, 3) }
        expectOne(lines(run(), facts), "60% of the time is waiting for frames", step: 31)
        var synthetic = run()
        synthetic.readsFiles = false
        #expect(lines(synthetic, facts) == [])
    }

    @Test func anExchangeThatDominatesIsToldWithWhatAutoWouldDo() {
        let facts = windows(6, ranks: 2) { all, _ in for rank in 0..<2 { (all[rank].computing, all[rank].exchanging) = (3, 6) } }
        expectOne(lines(run(ranks: 2), facts), "--exchange auto takes split, 12 ms a step predicted", step: 31)
        // One that waits for another is no slow exchange.
        #expect(lines(run(ranks: 2), windows(6, ranks: 2) { all, _ in all[0].exchanging = 6 }) == [])
        // Nor are moments that the scheduler takes, nor ranks that wait for one without a processor.
        let quick = windows(6, ranks: 2) { all, _ in
            for rank in 0..<2 { (all[rank].elapsed, all[rank].loading, all[rank].computing, all[rank].exchanging) = (0.05, 0, 0.015, 0.03) }
        }
        #expect(lines(run(ranks: 2), quick) == [])
        let disturbed = windows(6, ranks: 2) { all, _ in
            for rank in 0..<2 { (all[rank].computing, all[rank].exchanging) = (3, 6) }
            all[1].withoutProcessor = 3
        }
        #expect(lines(run(ranks: 2), disturbed).allSatisfy { !$0.contains("--exchange") })
        var best = run(ranks: 2)
        best.exchange = "split"
        expectOne(lines(best, facts), "the fastest that there is here; hint: fewer ranks", step: 31)
    }

    @Test func takingTurnsIsToldUnlessTheStartDid() {
        let facts = windows(6) { all, _ in all[0].withoutProcessor = 4 }
        expectOne(lines(run(), facts), "40% of the time is waiting for a processor", step: 31)
        // Own threads are no others.
        #expect(lines(run(), windows(6) { all, _ in (all[0].withoutProcessor, all[0].onProcessors) = (4, 8) }) == [])
        var known = run()
        known.takesTurns = true
        #expect(lines(known, facts) == [])
    }

    @Test func aLimitOfTheContainerIsTold() throws {
        #expect(ProcessorTime.warning(threads: 2, ranks: 2, limit: nil) == nil)
        #expect(ProcessorTime.warning(threads: 2, ranks: 2, limit: 4) == nil)
        let line = try #require(ProcessorTime.warning(threads: 8, ranks: 2, limit: 4))
        #expect(line.contains("16 threads share the time of 4.0 processors") && line.contains("hint: --threads 2, or"))
        #expect(ProcessorTime.warning(threads: 1, ranks: 4, limit: 1.5)?.contains("--threads 1 and fewer ranks") == true)
    }

    // MARK: Layers

    /// What layers show at steps 1, 10, 20, ...
    private func looks(units: [(String, Double)] = [], maps: [(String, Double)] = [], from first: Int = 0) -> [TrainingFacts] {
        (first..<first + 6).map { look in
            var facts = TrainingFacts(step: look == 0 ? 1 : 10 * look)
            facts.units = units.map { (layer: $0.0, dead: $0.1) }
            facts.maps = maps.map { (layer: $0.0, saturated: $0.1) }
            return facts
        }
    }

    @Test func aDeadHiddenLayerIsToldByItsName() {
        let facts = looks(units: [("relu1", 0.3), ("block2.relu", 0.95), ("relu9", 0.96)])
        expectOne(lines(run(), facts), "95% of the units of layer block2.relu are 0", step: 10)
        #expect(lines(run(), looks(units: [("relu1", 0.85), ("relu2", 0.5)])) == [])
        expectOne(lines(run(), looks(units: [("relu1", 0.3), ("relu2", 1)])), "100% of the units of layer relu2", step: 1)
        // Once is chance.
        #expect(lines(run(), Array(facts[..<1]) + looks(units: [("block2.relu", 0.2)], from: 1)) == [])
    }

    @Test func aSaturatedSoftArgmaxIsTold() {
        let facts = looks(maps: [("argmax", 0.97)])
        expectOne(lines(run(), facts), "the soft-argmax of layer argmax is saturated: in 97% of its maps", step: 10)
        #expect(lines(run(), looks(maps: [("argmax", 0.4)])) == [])
        // What was learned in thousands of steps may be sure of itself.
        #expect(lines(run(), looks(maps: [("argmax", 0.97)], from: 200)) == [])
    }

    @Test func whatFollowsFromACauseIsNotToldBesideIt() {
        var facts = looks(units: [("relu1", 1)], maps: [("argmax", 1)])
        facts[0].outputs = (jointError: 100, meanSquare: 1e6, labelMeanSquare: 1)
        expectOne(lines(run(), facts), "the initial values are too large", step: 1)
    }

    // MARK: Outputs

    private func errors(_ values: [Double], heldOut: [Int: Double] = [:]) -> [TrainingFacts] {
        values.enumerated().flatMap { index, error in
            var facts = TrainingFacts(step: index + 1)
            facts.outputs = (jointError: error, meanSquare: 1, labelMeanSquare: 1)
            guard let value = heldOut[index + 1] else { return [facts] }
            var validation = TrainingFacts(step: index + 1)
            validation.heldOut = value
            return [facts, validation]
        }
    }

    @Test func learningRatesAreTold() {
        expectOne(lines(run(), errors([50, 60] + Array(repeating: 200, count: 30))), "the learning rate is too high", step: 8)
        expectOne(lines(run(), errors([50, 500])), "has jumped from 50 mm", step: 2)
        let noisy = (0..<60).map { $0 == 0 ? 50 : $0 % 2 == 0 ? 40.0 : 90 }
        expectOne(lines(run(), errors(noisy)), "jumps by 50 mm from step to step", step: 30)
        var few = run()
        few.batch = 2
        #expect(lines(few, errors(noisy)) == [], "a batch of two samples is noisy by itself")
        var low = run()
        low.learningRate = 1e-9
        expectOne(lines(low, errors(Array(repeating: 50, count: 60))), "has not moved in 40 steps", step: 40)
        #expect(lines(run(), errors((0..<60).map { 50 - 0.5 * Double($0) })) == [])
    }

    @Test func overfittingIsTold() {
        let falling = (0..<60).map { 50 / (1 + 0.1 * Double($0)) }
        let growing = lines(run(), errors(falling, heldOut: [10: 40, 20: 30, 30: 33, 40: 36, 50: 40]))
        expectOne(growing, "the network learns its frames by heart", step: 40)
        #expect(lines(run(), errors(falling, heldOut: [10: 40, 20: 30, 30: 22, 40: 16, 50: 12])) == [])
    }
}
