import Collectives
import FoundationEssentials
import Glibc

/// How this process was started, and whether `mpirun` is there and fits.
enum LauncherCheck {
    static func findings(_ communicator: any Communicator) -> [Finding] {
        let launcher = Launcher.detect(ProcessInfo.processInfo.environment)
        let place = communicator.place
        if communicator.size > 1 {
            return [
                .ok(
                    "launcher",
                    "\(launcher.kind.name) started \(communicator.size) ranks on \(place.nodes) node\(place.nodes == 1 ? "" : "s"), and MPI connects them"
                )
            ]
        }
        guard let path = find("mpirun") else {
            return [
                .note("launcher", "no mpirun on PATH: one rank can train", cure: "apt-get install openmpi-bin, or the cluster's module of Open MPI")
            ]
        }
        var findings = [Finding.ok("launcher", "\(launcher.kind == .alone ? "none; " : "\(launcher.kind.name), one rank; ")mpirun is \(path)")]
        if geteuid() == 0, getenv("OMPI_ALLOW_RUN_AS_ROOT") == nil {
            findings.append(
                .note(
                    "root", "mpirun refuses to run as root", cure: "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, in a container")
            )
        }
        return findings
    }

    private static func find(_ program: String) -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }
}
