import CLinux
import Glibc

/// The processors this process may run on, and pinning of threads to them.
package enum Processors {
    /// Bytes of an affinity mask: room for 8,192 processors, more than the kernel's own limit.
    private static let capacity = 1024

    /// Numbers of the processors in the affinity mask (sched_getaffinity), ascending; never empty.
    package static func allowed() -> [Int] { allowed(to: 0) ?? [0] }

    /// Numbers of the processors that this rank's launcher may use: under mpirun, what it could have given to its ranks.
    /// - Returns: nil where the kernel does not tell.
    package static func allowedToLauncher() -> [Int]? { allowed(to: LauncherProcess.find() ?? getppid()) }

    private static func allowed(to process: pid_t) -> [Int]? {
        var mask = [UInt8](repeating: 0, count: capacity)
        guard dtrain_get_affinity(process, &mask, capacity) > 0 else { return nil }
        return (0..<capacity * 8).filter { mask[$0 / 8] & (1 << UInt8($0 % 8)) != 0 }
    }

    /// Pins the calling thread to one processor (sched_setaffinity); a refusal is ignored, as it costs speed only.
    package static func pin(to processor: Int) { restrict(to: [processor]) }

    /// Lets the calling thread run on these processors only.
    package static func restrict(to processors: [Int]) {
        var mask = [UInt8](repeating: 0, count: capacity)
        for processor in processors where processor < capacity * 8 {
            mask[processor / 8] |= 1 << UInt8(processor % 8)
        }
        _ = dtrain_set_affinity(mask, capacity)
    }

    /// The processor's model name as the kernel gives it (/proc/cpuinfo).
    package static var modelName: String {
        cpuinfoField("model name") ?? "unknown processor"
    }

    /// Whether the processor is Intel's (/proc/cpuinfo).
    package static var isIntel: Bool { cpuinfoField("vendor_id") == "GenuineIntel" }

    /// Whether the processor has a feature, by its name in /proc/cpuinfo.
    package static func hasFeature(_ name: String) -> Bool {
        cpuinfoField("flags")?.split(separator: " ").contains { $0 == name } ?? false
    }

    /// What the processor has of that which OpenBLAS's kernels are built for, by the names of /proc/cpuinfo (cpuid).
    package static var kernelFeatures: Set<String> {
        var (features, number, isThere) = (Set<String>(), Int32(0), Int32(0))
        while let name = dtrain_processor_feature(number, &isThere) {
            if isThere != 0 { features.insert(String(cString: name)) }
            number += 1
        }
        return features
    }

    /// The features beyond x86-64-v2 that this build was compiled for, by their names in /proc/cpuinfo: what DTRAIN_MARCH said
    /// at build time.
    package static var compiledFeatures: [String] {
        String(cString: dtrain_compiled_features()).split(separator: " ").map(String.init)
    }

    /// Which of the features that this build was compiled for the processor lacks; empty when all is well.
    package static func missingFeatures() -> [String] {
        #if arch(x86_64)
            guard let flags = cpuinfoField("flags") else { return [] }
            return compiledFeatures.filter { !flags.split(separator: " ").contains($0[...]) }
        #else
            return []
        #endif
    }

    private static func cpuinfoField(_ name: String) -> String? {
        guard let file = fopen("/proc/cpuinfo", "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 8192)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            guard text.hasPrefix(name), let colon = text.firstIndex(of: ":") else { continue }
            return String(text[text.index(after: colon)...].drop { $0 == " " }.prefix { $0 != "\n" })
        }
        return nil
    }
}
