import Collectives
import Testing

struct NodePlaceTests {
    /// Ranks dealt to the nodes in turn, as `mpirun --map-by node` does; two containers may even share a host name.
    @Test func ranksInTurn() {
        let leaders = [0, 1, 0, 1, 4]
        let hosts = ["a", "b", "a", "b", "a"]
        let places = leaders.indices.map { NodePlace(of: $0, leaders: leaders, hosts: hosts) }
        #expect(places.map(\.node) == [0, 1, 0, 1, 2])
        #expect(places.map(\.localRank) == [0, 0, 1, 1, 0])
        #expect(places.map(\.localSize) == [2, 2, 2, 2, 1])
        #expect(places.map(\.host) == hosts)
        #expect(places.allSatisfy { $0.nodes == 3 })
    }
}
