#!/usr/bin/env python3
"""Steps of two builds of dtrain beside each other, for a machine whose speed drifts: both train at the same time, one stopped
(SIGSTOP) while the other runs, by turns of a few seconds. So neighbouring slices see the same machine.

Usage: Scripts/bench-pair.py [--launcher COMMAND] [--slice SECONDS] [--seconds SECONDS] A B [ARGUMENTS ...]
  A, B         dtrain's programs, such as ../before/.build/release/dtrain .build/release/dtrain
  ARGUMENTS    of `dtrain train`, such as --preset dense --exchange split
  --launcher   what starts the ranks: "mpirun -np 2" (default: "mpirun -np 1"), or "Cluster/local/run -np 2"
  --slice      seconds of a turn (3)
  --seconds    seconds of all turns (120)

Prints for each program the median of its slices' median steps, and of B the ratios to A of slices that follow each other:
their median and quartiles. Above 1, B is slower.
"""

import argparse
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START = 120  # seconds that a program has until its first steps
WARM = 4  # steps


class Program:
    """A training run that can be stopped and continued, on however many ranks."""

    def __init__(self, path, launcher, arguments, folder):
        self.folder = folder
        self.log = folder.with_suffix(".log")
        command = [*shlex.split(launcher), path, "train", "--steps", "1000000000", "--log-every", "1", "--run-dir", str(folder), *arguments]
        with open(self.log, "w") as log:
            self.launcher = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.slices = []

    def ranks(self):
        """Its processes on this machine, whoever started them: those with its run directory among their arguments."""
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            except OSError:
                continue
            # Not those of mpirun, which must go on.
            if os.fsencode(self.folder) in words and words[1] == b"train":
                yield int(entry.name)

    def signal(self, number):
        for rank in self.ranks():
            try:
                os.kill(rank, number)
            except ProcessLookupError:
                pass

    def steps(self):
        """Milliseconds of each step so far."""
        try:
            lines = (self.folder / "metrics.jsonl").read_text().splitlines(keepends=True)
        except OSError:
            return []
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        return [record["step_ms"] for record in records if "step_ms" in record]

    def check(self):
        if self.launcher.poll() is not None:
            lines = self.log.read_text().strip().splitlines() or ["it said nothing"]
            # mpirun speaks after it.
            said = next((line for line in lines if line.startswith("dtrain: ")), lines[-1])
            raise SystemExit(f"bench-pair.py: a run ended with status {self.launcher.returncode}: {said}")

    def begin(self):
        limit = time.monotonic() + START
        while len(self.steps()) < WARM:
            self.check()
            if time.monotonic() > limit:
                raise SystemExit(f"bench-pair.py: no {WARM} steps within {START} seconds; hint: see {self.log}")
            time.sleep(0.2)
        self.signal(signal.SIGSTOP)

    def run(self, seconds):
        before = len(self.steps())
        self.signal(signal.SIGCONT)
        time.sleep(seconds)
        self.signal(signal.SIGSTOP)
        self.check()
        # The first one spans the stop.
        steps = self.steps()[before + 1 :]
        self.slices.append(statistics.median(steps) if steps else None)

    def end(self):
        self.signal(signal.SIGKILL)
        self.launcher.wait()


def main():
    parser = argparse.ArgumentParser(usage=__doc__[__doc__.index("Usage: ") + 7 :], add_help=False)
    parser.add_argument("--launcher", default="mpirun -np 1")
    parser.add_argument("--slice", type=float, default=3)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("a")
    parser.add_argument("b")
    options, arguments = parser.parse_known_args()
    programs = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for name in ("a", "b"):
                programs.append(Program(getattr(options, name), options.launcher, arguments, Path(scratch) / name))
                programs[-1].begin()
            end = time.monotonic() + options.seconds
            order = list(programs)
            while time.monotonic() < end:
                for program in order:
                    program.run(options.slice)
                order.reverse()
        finally:
            for program in programs:
                program.end()
    pairs = [(a, b) for a, b in zip(*(program.slices for program in programs)) if a and b]
    if len(pairs) < 2:
        raise SystemExit("bench-pair.py: too few slices with whole steps; hint: a longer --slice, or more --seconds")
    for path, steps in zip((options.a, options.b), zip(*pairs)):
        print(f"{path}: {statistics.median(steps):.2f} ms a step, median of {len(pairs)} slices")
    low, middle, high = statistics.quantiles((b / a for a, b in pairs), n=4)
    print(f"ratio: {middle:.3f}, quartiles {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
