import CLinux
import Glibc
import System

/// Sleeps that end as soon as something arrives. Over TCP the library reads its sockets only when it is called: a rank that sleeps
/// for a guessed time lets what has arrived lie, and leaves a processor idle where ranks outnumber processors.
///
/// The sockets are found by looking at this process's files: Open MPI does not tell them. Where a library uses none, such as over
/// InfiniBand, sleeps have the length that was asked for.
package final class Arrivals {
    /// An epoll instance that tells of what is new (edges): what a socket holds and nobody reads wakes once. Negative where the kernel
    /// gives none.
    private let watch = dtrain_watch()
    /// Seconds between looks for sockets, which open when two ranks first talk.
    private static let lookEvery = 0.1
    private var looked = -lookEvery

    package init() {}

    deinit { if watch >= 0 { close(watch) } }

    /// Sleeps until something arrives on a socket, or there is room in one that was full; so long at most.
    package func sleep(microseconds: Double) {
        guard watch >= 0 else {
            usleep(UInt32(microseconds))
            return
        }
        if dtrain_wait_for_sockets(watch, Int(microseconds * 1e3)) == 0, Stopwatch.now - looked > Self.lookEvery { look() }
    }

    /// Whether a file is a TCP socket with a peer.
    private static func isConnection(_ file: Int32) -> Bool {
        var peer = sockaddr_storage()
        var length = socklen_t(MemoryLayout.size(ofValue: peer))
        let isConnected = withUnsafeMutablePointer(to: &peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(file, $0, &length) == 0 }
        }
        return isConnected && [AF_INET, AF_INET6].contains(Int32(peer.ss_family))
    }

    /// Watches all sockets that are connected; those that are watched already stay so.
    private func look() {
        looked = Stopwatch.now
        guard let directory = opendir("/proc/self/fd") else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let file = Int32(name), Self.isConnection(file) { dtrain_watch_socket(watch, file) }
        }
    }
}
