import Glibc

/// Whether a directory can be another user's trap.
enum DirectoryTrust {
    /// Throws where another user than this one and root may have put the directory, or a link to it, in this one's way: it is that
    /// user's, and everybody may write in it or where it lies, such as in /tmp. What a group shares lies in a directory of the
    /// group's.
    /// - Throws: `.refused`, `.system`.
    static func require(_ path: String) throws(CheckpointError) {
        var link = stat()
        var own = stat()
        guard lstat(path, &link) == 0, stat(path, &own) == 0 else { throw .system("examine", path, code: errno) }
        let cut = path.lastIndex(of: "/")
        let parentPath = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        var parent = stat()
        guard stat(parentPath, &parent) == 0 else { throw .system("examine", parentPath, code: errno) }
        let isOpen = (parent.st_mode | own.st_mode) & S_IWOTH != 0
        guard isOpen, let other = [link.st_uid, own.st_uid].first(where: { $0 != geteuid() && $0 != 0 }) else { return }
        throw CheckpointError(
            .refused, path: path, "belongs to \(name(of: other)), and lies where everybody may put it",
            hint: "another --run-dir; a group shares one in a directory that only the group may write")
    }

    /// The user's name, or number where there is none (`getpwuid_r(3)`).
    private static func name(of user: uid_t) -> String {
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var room = [CChar](repeating: 0, count: 4096)
        guard getpwuid_r(user, &record, &room, room.count, &found) == 0, found != nil, let name = record.pw_name else {
            return "user \(user)"
        }
        return "user \(String(cString: name))"
    }
}
