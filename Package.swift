// swift-tools-version: 6.3
import PackageDescription

/// Processor level the C headers and the SIMD code are compiled for. `DTRAIN_MARCH=native swift build` for another.
let march = Context.environment["DTRAIN_MARCH"] ?? "x86-64-v3"

#if arch(x86_64)
    let processor: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-march=\(march)"])]
#else
    let processor: [SwiftSetting] = []
#endif

let settings: [SwiftSetting] =
    processor + [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// Most tests compute little themselves: optimising them would take longer than running them does.
let quicklyCompiled = settings + [.unsafeFlags(["-Onone"])]

func tests(
    _ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = [], isOptimized: Bool = false
) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies,
        resources: resources, swiftSettings: isOptimized ? settings : quicklyCompiled)
}

/// dtrain has the Swift runtime in it, so that it runs on nodes without Swift, and it looks for libraries in ../lib first, where a
/// bundle has them: by DT_RPATH, which holds for what these need as well; DT_RUNPATH, the default, is dtrain's alone.
/// Only the linking differs: the modules' objects are the tests' too, compiled for the shared runtime. So what Foundation's
/// archives need is named here; `--static-swift-stdlib` would name it, and compile everything a second time.
let selfContained: [LinkerSetting] = [
    .unsafeFlags(
        ["-static-stdlib", "-use-ld=lld"]
            + [
                "Foundation", "FoundationEssentials", "FoundationInternationalization", "CoreFoundation", "_FoundationICU",
                "_FoundationCShims", "_FoundationCollections",
            ].map { "-l\($0)" }
            + ["-lstdc++"]
            + ["-rpath", "$ORIGIN/../lib", "--disable-new-dtags"].flatMap { ["-Xlinker", $0] },
        .when(platforms: [.linux]))
]

let package = Package(
    name: "dtrain",
    products: [.executable(name: "dtrain", targets: ["dtrain"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev", "openmpi-bin"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "spng", providers: [.apt(["libspng-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "CKernels"),

        module("System", ["CLinux"]),
        module("Memory", ["System", "CLinux"]),
        module("Kernels", ["System", "Memory", "CLinux", "COpenBLAS", "CKernels"]),
        module("Collectives", ["System", "Memory", "CMPI", "CLinux"]),
        module("Protobuf"),
        module("Telemetry", ["System", "Memory", "Protobuf"]),
        module("Checkpoints", ["System", "Memory"]),
        module("Reports", ["Telemetry", "Checkpoints", .product(name: "Yams", package: "Yams")]),
        module("HandData", ["System", "Memory", "Kernels", "CPNG"]),
        module("Optimizers", ["System", "Memory", "Kernels", "CLinux"]),
        module("Layers", ["System", "Memory", "Kernels", "Collectives", "Protobuf", "CLinux"]),
        module("Networks", ["System", "Memory", "Kernels", "Layers", .product(name: "Yams", package: "Yams")]),
        module("Exchange", ["System", "Memory", "Kernels", "Layers", "Optimizers", "Networks", "Collectives"]),
        module("Planning", ["System", "Memory", "Kernels", "Layers", "Optimizers", "Networks", "Exchange", "Collectives"]),
        module(
            "Training",
            [
                "System", "Memory", "Kernels", "Collectives", "Telemetry", "Checkpoints", "Reports", "HandData", "Optimizers", "Layers",
                "Networks", "Exchange", "Planning", "Diagnosis",
            ]),

        module("Diagnosis", ["System", "Memory", "Kernels", "Collectives", "Telemetry", "HandData"]),
        module("Export", ["System", "Memory", "Protobuf", "Collectives", "Layers", "Networks", "HandData", "Checkpoints", "Training"]),
        module(
            "Predictions",
            ["System", "Memory", "Collectives", "Telemetry", "Checkpoints", "HandData", "Layers", "Networks", "Training"]),
        module(
            "Benchmarks",
            ["System", "Memory", "Kernels", "Telemetry", "HandData", "Optimizers", "Layers", "Networks", "Exchange", "Planning", "Collectives"]),

        .executableTarget(
            name: "dtrain",
            dependencies: [
                "Training", "Predictions", "Export", "Diagnosis", "Benchmarks", "System", "Memory", "Kernels", "Collectives", "Telemetry",
                "Checkpoints", "HandData", "Layers", "Networks", "Reports",
                "Optimizers", "Exchange", "Planning", "CLinux", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings, linkerSettings: selfContained),
        .executableTarget(name: "mpi-probe", dependencies: ["Collectives", "TestSupport"], path: "Tests/mpi-probe", swiftSettings: settings),
        .target(name: "TestSupport", dependencies: ["Collectives", "System"], path: "Tests/TestSupport", swiftSettings: settings),
        .target(name: "TestOracle", path: "Tests/TestOracle", swiftSettings: settings),

        tests("Benchmarks", ["Layers", "Memory", "Networks", "Optimizers", "Planning", "System", "Telemetry"]),
        tests("System", isOptimized: true),
        tests("Memory", ["System"]),
        tests("Kernels", ["System", "Memory", "TestOracle"], isOptimized: true),
        tests("Optimizers", ["Kernels", "System", "Memory", "TestOracle", "TestSupport"], resources: [.copy("Golden")], isOptimized: true),
        tests("Layers", ["System", "Memory", "Kernels", "Collectives", "Networks", "TestOracle", "TestSupport"], isOptimized: true),
        tests(
            "Networks", ["System", "Memory", "Kernels", "Collectives", "Layers", "Optimizers", "TestOracle"], resources: [.copy("Golden")],
            isOptimized: true),
        tests("HandData", ["System", "Memory"]),
        tests("Checkpoints"),
        tests("Collectives", ["TestSupport", "mpi-probe"]),
        tests("Exchange", ["Collectives", "Layers", "Networks", "Optimizers", "System", "Memory", "TestSupport"], isOptimized: true),
        tests("Planning", ["Exchange", "Layers", "Networks", "Optimizers"]),
        tests(
            "Training",
            ["Checkpoints", "Collectives", "HandData", "Kernels", "Networks", "Optimizers", "System", "Memory", "TestSupport"]),
        tests("Predictions", ["HandData", "System", "Memory"]),
        tests("Telemetry"),
        tests("Diagnosis", ["HandData"]),
        tests("Reports", ["Checkpoints", "Telemetry"]),
        .testTarget(
            name: "CommandLineTests", dependencies: ["TestSupport", "Checkpoints", "HandData"], exclude: ["Snapshots"],
            swiftSettings: quicklyCompiled),
    ]
)
