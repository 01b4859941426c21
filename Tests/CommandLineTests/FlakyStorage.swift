import Foundation
import Testing
import TestSupport

/// A library that makes system calls of `dtrain` fail now and then, as a file server that hiccups (LD_PRELOAD).
enum FlakyStorage {
    /// FLAKY_CALL (open, read, stat) of a path that ends in FLAKY_SUFFIX fails with FLAKY_ERRNO: the FLAKY_AT-th, and those that
    /// follow while FLAKY_TIMES are not used up.
    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <stdarg.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/stat.h>
        #include <unistd.h>
        static int calls;
        static int fails(const char *call, const char *path) {
            const char *wanted = getenv("FLAKY_CALL"), *suffix = getenv("FLAKY_SUFFIX");
            if (!wanted || !suffix || strcmp(wanted, call)) return 0;
            size_t length = strlen(path), end = strlen(suffix);
            if (length < end || strcmp(path + length - end, suffix)) return 0;
            int number = __sync_add_and_fetch(&calls, 1), first = atoi(getenv("FLAKY_AT"));
            if (number < first || number >= first + atoi(getenv("FLAKY_TIMES"))) return 0;
            errno = atoi(getenv("FLAKY_ERRNO"));
            return 1;
        }
        static int fails_fd(const char *call, int fd) {
            if (!getenv("FLAKY_CALL")) return 0;
            char link[64], path[4096];
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(link, path, sizeof path - 1);
            if (length < 0) return 0;
            path[length] = 0;
            return fails(call, path);
        }
        #define OPEN(NAME) int NAME(const char *path, int flags, ...) { \\
            static int (*real)(const char *, int, ...); if (!real) real = dlsym(RTLD_NEXT, #NAME); \\
            int mode = 0; if (flags & O_CREAT) { va_list a; va_start(a, flags); mode = va_arg(a, int); va_end(a); } \\
            return fails("open", path) ? -1 : real(path, flags, mode); }
        OPEN(open)
        OPEN(open64)
        #define STAT(NAME) int NAME(const char *restrict path, struct stat *restrict status) { \\
            static int (*real)(const char *, struct stat *); if (!real) real = dlsym(RTLD_NEXT, #NAME); \\
            return fails("stat", path) ? -1 : real(path, status); }
        STAT(stat)
        STAT(lstat)
        ssize_t read(int fd, void *to, size_t size) {
            static ssize_t (*real)(int, void *, size_t); if (!real) real = dlsym(RTLD_NEXT, "read");
            return fails_fd("read", fd) ? -1 : real(fd, to, size); }
        #define PREAD(NAME) ssize_t NAME(int fd, void *to, size_t size, off_t at) { \\
            static ssize_t (*real)(int, void *, size_t, off_t); if (!real) real = dlsym(RTLD_NEXT, #NAME); \\
            return fails_fd("read", fd) ? -1 : real(fd, to, size, at); }
        PREAD(pread)
        PREAD(pread64)
        """

    /// A compiler, as Swift needs one to link.
    static let compiler = ["cc", "gcc", "clang"].first { name in
        ((try? Subprocess.run(["sh", "-c", "command -v \(name)"]))?.status ?? 1) == 0
    }
    static let noCompiler: Comment = "there is no C compiler for the library that makes storage flaky"

    /// Compiles the library in a test's folder.
    static func library(_ folder: TestFolder) throws -> String {
        let file = try folder.write(source, to: "flaky.c")
        let outcome = try Subprocess.run(
            [try #require(compiler), "-shared", "-fPIC", "-O1", "-o", folder("flaky.so"), file, "-ldl"])
        try #require(outcome.status == 0, "\(outcome)")
        return folder("flaky.so")
    }
}

extension CommandLineTests {
    /// Storage that does not answer for a moment, or not at all.
    @Suite(.enabled(if: FlakyStorage.compiler != nil, FlakyStorage.noCompiler)) struct StorageTests {
        private let folder = try! TestFolder()

        private func run(
            _ call: String, of suffix: String, at first: Int, times: Int = 1, errno code: Int32, _ arguments: [String], ranks: Int? = nil
        ) throws -> Subprocess.Outcome {
            try Dtrain.run(
                Dtrain.small + arguments + ["--run-dir", folder("run")], ranks: ranks,
                environment: [
                    "LD_PRELOAD": try FlakyStorage.library(folder), "FLAKY_CALL": call, "FLAKY_SUFFIX": suffix, "FLAKY_AT": "\(first)",
                    "FLAKY_TIMES": "\(times)", "FLAKY_ERRNO": "\(code)",
                ])
        }

        /// Frames, labels: an open, a read or a stat that fails once changes nothing.
        @Test(arguments: [
            ("open", ".png", 130, ESTALE), ("read", ".png", 130, EIO), ("stat", ".png", 20, ETIMEDOUT), ("open", "labels.txt", 1, EMFILE),
            ("read", "labels.txt", 1, ESTALE), ("stat", "labels.txt", 1, ENOMEM), ("open", ".png", 1, ENOMEM),
        ])
        func aHiccupChangesNothing(call: String, suffix: String, first: Int, code: Int32) throws {
            let data = try folder.dataSet()
            let settings = ["--data", data, "--steps", "12", "--cache", "0"]
            try Dtrain.train(settings, into: folder("calm"))
            let outcome = try run(call, of: suffix, at: first, errno: code, settings + ["--on-bad-sample", "stop"])
            #expect(outcome.status == 0 && outcome.stderr == "" && outcome.seconds >= 1, "\(outcome)")
            #expect(try folder.contents("run/checkpoints") == folder.contents("calm/checkpoints"))
        }

        /// The steps that are done are saved, and the hint is about storage; the run goes on from there.
        @Test func storageThatStaysAwayEndsTheRunSaved() throws {
            let settings = ["--data", try folder.dataSet(), "--steps", "30", "--cache", "0"]
            let outcome = try run("open", of: ".png", at: 200, times: 1000, errno: ESTALE, settings)
            #expect(outcome.status == 1, "\(outcome)")
            for word in ["Stale file handle, in 3 tries; hint: look at the file server", "is saved: --resume auto goes on"] {
                #expect(outcome.stderr.contains(word), "\(outcome)")
            }
            #expect(outcome.stderr.split(separator: "\n").count == 1, "\(outcome)")
            let resumed = try Dtrain.run(Dtrain.small + settings + ["--run-dir", folder("run"), "--resume", "auto"])
            #expect(resumed.status == 0 && resumed.stdout.contains("resumed: "), "\(resumed)")
            try Dtrain.train(settings, into: folder("calm"))
            #expect(
                try Data(contentsOf: URL(fileURLWithPath: folder("run/checkpoints/step-00000030/model.safetensors")))
                    == Data(contentsOf: URL(fileURLWithPath: folder("calm/checkpoints/step-00000030/model.safetensors"))))
        }

        /// Where samples are skipped, storage that stays away is told from damaged frames by a step without any.
        @Test func storageThatStaysAwayIsNotSkipped() throws {
            // 8 frames of each part are looked at before step 1, those of training twice; then 5 steps of 4 frames are read, and no more.
            let settings = ["--data", try folder.dataSet(frames: 8, testFrames: 8), "--batch-size", "4", "--steps", "90", "--cache", "0"]
            let outcome = try run(
                "open", of: ".png", at: 45, times: 1_000_000, errno: ESTALE, settings + ["--on-bad-sample", "skip"])
            #expect(outcome.status == 1 && outcome.stderr.contains("and so are all of this rank's samples of the step"), "\(outcome)")
            #expect(outcome.stderr.contains("step 5 is saved: --resume auto goes on from it"), "\(outcome)")
        }

        /// Whatever the policy: the set must not be what a server happened to give.
        @Test func aSetThatStorageDoesNotShowIsNotOpened() throws {
            let outcome = try run(
                "stat", of: ".png", at: 20, times: 1000, errno: ETIMEDOUT,
                ["--data", try folder.dataSet(), "--steps", "5", "--on-bad-sample", "skip"])
            #expect(outcome.status == 1 && outcome.stderr.contains("timed out, in 3 tries; hint: look at the file server"), "\(outcome)")
        }

        @Test(arguments: [("open", ESTALE), ("read", ESTALE), ("read", EIO), ("stat", ETIMEDOUT)])
        func aCheckpointIsReadThroughAHiccup(call: String, code: Int32) throws {
            try Dtrain.train(["--steps", "4"], into: folder("run"))
            let outcome = try run(call, of: "model.safetensors", at: 1, errno: code, ["--steps", "6", "--resume", "auto"])
            #expect(outcome.status == 0 && outcome.stdout.contains("step-00000004, step 4"), "\(outcome)")
        }

        /// An older checkpoint must not take the place of one that is whole behind a server that does not answer.
        @Test func aCheckpointThatStorageDoesNotShowIsNotPassedOver() throws {
            try Dtrain.train(["--steps", "4", "--checkpoint-every", "2"], into: folder("run"))
            let outcome = try run(
                "open", of: "step-00000004/model.safetensors", at: 1, times: 1000, errno: ESTALE, ["--steps", "6", "--resume", "auto"])
            #expect(outcome.status == 1 && outcome.stderr.contains("step-00000004/model.safetensors: cannot open"), "\(outcome)")
            let again = try Dtrain.run(Dtrain.small + ["--steps", "6", "--resume", "auto", "--run-dir", folder("run")])
            #expect(again.status == 0 && again.stdout.contains("step-00000004, step 4"), "\(again)")
        }
    }
}
