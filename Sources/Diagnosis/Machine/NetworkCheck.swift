import Glibc

/// Networks of this node, and whether ranks can open ports.
enum NetworkCheck {
    static func findings(nodes: Int) -> [Finding] { [interfaces(nodes), ports()] }

    /// IPv4 networks other than the loopback: name and address.
    private static func addresses() -> [(name: String, address: String)] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [(String, String)] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let address = entry.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET), entry.ifa_flags & UInt32(IFF_UP) != 0,
                entry.ifa_flags & UInt32(IFF_LOOPBACK) == 0
            else { continue }
            var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
            address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                var place = pointer.pointee.sin_addr
                inet_ntop(AF_INET, &place, &text, socklen_t(INET_ADDRSTRLEN))
            }
            found.append((String(cString: entry.ifa_name), String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)))
        }
        return found
    }

    private static func interfaces(_ nodes: Int) -> Finding {
        let all = addresses()
        let words = all.map { "\($0.name) \($0.address)" }.joined(separator: ", ")
        // Bridges of containers look like networks to MPI, and lead nowhere.
        let inner = all.filter { item in ["docker", "virbr", "br-", "cni", "lxc", "podman"].contains { item.name.hasPrefix($0) } }
        if all.isEmpty {
            return nodes > 1
                ? .problem("networks", "none but the loopback", cure: "a network between the nodes")
                : .note("networks", "none but the loopback: one node alone can train", cure: "nothing, for one node")
        }
        if !inner.isEmpty {
            return .note(
                "networks", "\(words): \(inner.map(\.name).joined(separator: ", ")) lead to containers of this node alone",
                cure: "for several nodes: mpirun --mca btl_tcp_if_exclude lo,\(inner.map(\.name).joined(separator: ","))")
        }
        if all.count > 1 {
            return .note(
                "networks", words,
                cure: "for several nodes name the one they share: mpirun --mca btl_tcp_if_include SUBNET --mca oob_tcp_if_include SUBNET")
        }
        return .ok("networks", words)
    }

    private static func ports() -> Finding {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { if socket >= 0 { close(socket) } }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard socket >= 0, result == 0, listen(socket, 1) == 0 else {
            return .problem("ports", "no port can be opened: \(String(cString: strerror(errno)))", cure: "free some; ip_local_port_range, ulimit -n")
        }
        return .ok("ports", "ranks can open ports")
    }
}
