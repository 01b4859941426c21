import Glibc
import System

/// The descriptors 0, 1 and 2.
package enum StandardStreams {
    /// Puts /dev/null where a standard stream was closed (`>&-`, some daemons): else the next file opened got its number, and
    /// what is said were written into it. To be called before anything is opened.
    package static func fill() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO]
        where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
            // open(2) takes the lowest free number, which is this one.
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY)
        }
    }
}

/// The terminal that a person watches.
package struct Terminal {
    private let descriptor: Int32

    /// The one that standard output ends at; nil where it ends elsewhere. Open MPI gives each rank a pseudo-terminal of its
    /// own, which says nothing: what counts there is the output of mpirun.
    package static func ofStandardOutput() -> Terminal? {
        guard isatty(STDOUT_FILENO) == 1, getenv("TERM").map({ String(cString: $0) }) != "dumb" else { return nil }
        guard getenv("OMPI_COMM_WORLD_SIZE") != nil else { return Terminal(descriptor: STDOUT_FILENO) }
        // Not always the parent: shells, and a rank's supervisor, may stand in between.
        let launcher = LauncherProcess.find() ?? getppid()
        let path = "/proc/\(launcher)/fd/1"
        var target = [CChar](repeating: 0, count: 256)
        let length = readlink(path, &target, 255)
        guard length > 0 else { return nil }
        let name = String(decoding: target.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
        guard name.hasPrefix("/dev/pts/") || name.hasPrefix("/dev/tty") || name == "/dev/console" else { return nil }
        // Only asked for its size; where it may not be opened, that is unknown. It lives as long as the process.
        return Terminal(descriptor: open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC))
    }

    /// A terminal behind an open descriptor.
    package init(descriptor: Int32) { self.descriptor = descriptor }

    /// Its width now, as a person may change it at any time (ioctl TIOCGWINSZ); 80 where it does not say.
    package var columns: Int { size.map { Int($0.ws_col) }.flatMap { $0 > 0 ? $0 : nil } ?? 80 }

    /// Its height now; 24 where it does not say.
    package var rows: Int { size.map { Int($0.ws_row) }.flatMap { $0 > 0 ? $0 : nil } ?? 24 }

    private var size: winsize? {
        var size = winsize()
        return descriptor >= 0 && ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 ? size : nil
    }

    /// Whether it says (TERM) what kind it is: then it moves its cursor as all do since the VT100.
    package var canMoveCursor: Bool { getenv("TERM").map { $0[0] != 0 } ?? false }

    /// Whether its locale is told and has no characters beyond ASCII.
    package var isPlain: Bool {
        for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
            guard let value = getenv(name).map({ String(cString: $0).uppercased() }), !value.isEmpty else { continue }
            return !value.contains("UTF-8") && !value.contains("UTF8")
        }
        return false
    }
}
