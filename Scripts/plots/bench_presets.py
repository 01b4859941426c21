#!/usr/bin/env python3
"""The tables of presets in Docs/performance.md, from what Scripts/bench-peers.sh --preset measured, and Docs/performance-presets.svg.

Tables of other processors stay, and the picture shows them too: it is drawn from the page's tables, as others' measurements are elsewhere.

Usage: bench_presets.py MEASUREMENTS DOCS
       bench_presets.py DOCS                  the picture alone
MEASUREMENTS holds a directory for each setting, PRESET-threads-T-batch-B, and in it pytorch.ROUND.json and dtrain.ROUND.json;
and processor.txt, on what all was measured.
"""

import re
import sys
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

import page

PRESETS = ("deepprior", "ren", "dense", "dtrain-hand")
# By the number of threads, the largest first.
COLORS = ("#1e8449", "#58d68d", "#abebc6")
PICTURE = "![Time of a step in PyTorch over that in dtrain, by preset, threads and processor](performance-presets.svg)"


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


def steps(text):
    """The page's tables of steps. Of each processor: by preset with its batch and by threads, times as fast and the same of each round."""
    tables = {}
    for match in re.finditer(r"<!-- bench-presets, (.+?): begin -->(.*?)<!-- bench-presets, \1: end -->", text, re.DOTALL):
        rows = re.findall(
            r"^\| `(.+?)`, (\d+) \| (\d+) \| .*?\| \*\*([\d.]+)\*\* \((.+?)\) \|", match.group(2), re.MULTILINE
        )
        if rows:
            tables[match.group(1)] = {
                (f"{preset}, {batch}", int(threads)): (float(ratio), [float(each) for each in rounds.split(", ")])
                for preset, batch, threads, ratio, rounds in rows
            }
    if not tables:
        raise SystemExit("no table of steps in performance.md; hint: run Scripts/bench-peers.sh --preset")
    return tables


def draw(tables, path):
    page.style("performance-presets")
    threads = sorted({count for table in tables.values() for _, count in table}, reverse=True)
    width = 0.8 / len(threads)
    figure, all_axes = plt.subplots(len(tables), 1, figsize=(8, 0.6 + 2.6 * len(tables)), squeeze=False)
    for axes, (processor, table) in zip(all_axes[:, 0], tables.items()):
        presets = list(dict.fromkeys(preset for preset, _ in table))
        for (preset, count), (ratio, rounds) in table.items():
            number = threads.index(count)
            x = presets.index(preset) + (number - (len(threads) - 1) / 2) * width
            axes.bar(
                x, ratio, width, color=COLORS[number % len(COLORS)],
                yerr=[[max(0, ratio - min(rounds))], [max(0, max(rounds) - ratio)]],
                error_kw=dict(ecolor="#444444", capsize=3, linewidth=1),
            )
            axes.annotate(
                f"{ratio:.2f}", (x, max(rounds)), xytext=(0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=9
            )
        axes.axhline(1, color="black", linewidth=0.9, linestyle=":")
        axes.set_xticks(range(len(presets)), presets)
        axes.set_ylim(0, 1.15 * max(max(rounds) for _, rounds in table.values()))
        axes.set_ylabel("times as fast")
        axes.set_title(processor, fontsize=11, loc="left")
    for number, count in enumerate(threads):
        all_axes[0, 0].bar(0, 0, color=COLORS[number % len(COLORS)], label=f"{count} thread{'s' * (count != 1)}")
    all_axes[0, 0].legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=len(threads), frameon=False, fontsize=9)
    figure.supxlabel("PyTorch's time of a step / dtrain's, by preset and batch (whiskers: over the rounds); dotted: as fast", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": "Scripts/plots/bench_presets.py"})


def write(measurements, docs):
    settings = read(measurements)
    processor = (measurements / "processor.txt").read_text(encoding="utf-8").strip()
    page.replace(
        docs / "performance.md",
        *markers(processor),
        section(settings, processor),
        f"## Presets of crops\n\n{PICTURE}\n",
        "<!-- bench-presets, .*: end -->",
    )
    print(docs / "performance.md")


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit("usage: bench_presets.py [MEASUREMENTS] DOCS")
    docs = Path(sys.argv[-1])
    if len(sys.argv) == 3:
        write(Path(sys.argv[1]), docs)
    picture = docs / "performance-presets.svg"
    draw(steps((docs / "performance.md").read_text(encoding="utf-8")), picture)
    print(picture)


if __name__ == "__main__":
    main()
