#!/usr/bin/env python3
"""The tables of presets in Docs/performance.md, from what Scripts/bench-peers.sh --preset measured. Those of other processors stay.

Usage: bench_presets.py MEASUREMENTS DOCS
MEASUREMENTS holds a directory for each setting, PRESET-threads-T-batch-B, and in it pytorch.ROUND.json and dtrain.ROUND.json;
and processor.txt, on what all was measured.
"""

import re
import sys
from pathlib import Path
from statistics import median

import page

PRESETS = ("deepprior", "ren", "dense", "dtrain-hand")


def read(measurements):
    settings = []
    for directory in measurements.iterdir():
        match = re.fullmatch(r"(.+?)(-forward)?-threads-(\d+)-batch-(\d+)", directory.name)
        if not match:
            continue
        load = lambda path: page.load(path, ("median_s", "peak_memory_mb"), "Scripts/bench-peers.sh --preset")
        peers = sorted(directory.glob("pytorch.*.json"))
        rounds = [(load(path), load(path.with_name(path.name.replace("pytorch", "dtrain")))) for path in peers]
        if rounds:
            settings.append((match.group(1), bool(match.group(2)), int(match.group(3)), int(match.group(4)), rounds))
    if not settings:
        raise SystemExit(f"{measurements}: no measurements; hint: run Scripts/bench-peers.sh --preset")
    return sorted(settings, key=lambda s: (-s[2], PRESETS.index(s[0]) if s[0] in PRESETS else 99, s[3]))


def of(entries, key):
    return median(entry[key] for entry in entries)


def forward_row(preset, _, threads, batch, rounds):
    peers, own = zip(*rounds)
    ratios = [peer["median_s"] / mine["median_s"] for peer, mine in rounds]
    times = " | ".join(f"{of(each, 'median_s') * 1000:.2f} | {batch / of(each, 'median_s'):,.0f}" for each in (peers, own))
    return f"| `{preset}` | {batch} | {threads} | {times} | **{median(ratios):.2f}** |"


def row(preset, _, threads, batch, rounds):
    peers, own = zip(*rounds)
    ratios = [peer["median_s"] / mine["median_s"] for peer, mine in rounds]
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return (
        f"| `{preset}`, {batch} | {threads} | {of(peers, 'median_s') * 1000:.1f} | **{of(own, 'median_s') * 1000:.1f}** "
        f"| **{median(ratios):.2f}** ({each}) | {of(own, 'share_of_floor'):.2f} | {of(own, 'blas_gflops'):.0f} "
        f"| {of(peers, 'peak_memory_mb'):,.0f} | {of(own, 'peak_memory_mb'):,.0f} | {of(own, 'minor_faults_per_step'):.0f} |"
    )


def markers(processor):
    return tuple(f"<!-- bench-presets, {processor}: {place} -->" for place in ("begin", "end"))


def section(settings, processor):
    peers, own = settings[0][4][0]
    rows = "\n".join(row(*setting) for setting in settings if not setting[1])
    forward_rows = "\n".join(forward_row(*setting) for setting in settings if setting[1])
    begin, end = markers(processor)
    return f"""{begin}
### {processor}
Measured by `Scripts/bench-peers.sh --preset` on {page.machine(processor)}, {len(settings[0][4])} rounds in one run, PyTorch and dtrain in turn:
forward, backward and update of random crops, no augmentation; medians over the rounds of each program's median. PyTorch {peers["version"].split("+")[0]}: channels_last,
oneDNN, the optimiser fused, glibc told to keep freed memory. dtrain: {own["instruction_set"]} kernels, OpenBLAS {own["blas_kernel"]}. The floor is the step's
multiply-adds x 2 at the sgemm rate of the same run; Winograd's way takes fewer, so steps below 1 are possible.

| preset, batch | threads | PyTorch, ms | dtrain, ms | times as fast (each round) | step / floor | sgemm, GFLOP/s | PyTorch's peak, MiB | dtrain's | page faults a step |
|---|---|---|---|---|---|---|---|---|---|
{rows}

The forward pass of evaluation (`dtrain bench step --forward`; PyTorch in `inference_mode`), from crops to outputs:

| preset | batch | threads | PyTorch, ms | frames/s | dtrain, ms | frames/s | times as fast |
|---|---|---|---|---|---|---|---|
{forward_rows}
{end}"""


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: bench_presets.py MEASUREMENTS DOCS")
    measurements, docs = Path(sys.argv[1]), Path(sys.argv[2])
    settings = read(measurements)
    processor = (measurements / "processor.txt").read_text(encoding="utf-8").strip()
    page.replace(
        docs / "performance.md",
        *markers(processor),
        section(settings, processor),
        "## Presets of crops\n",
        "<!-- bench-presets, .*: end -->",
    )
    print(docs / "performance.md")


if __name__ == "__main__":
    main()
