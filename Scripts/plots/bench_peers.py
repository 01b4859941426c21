#!/usr/bin/env python3
"""The peers' table in Docs/performance.md and Docs/performance.svg, from what Scripts/bench-peers.sh measured.

Usage: bench_peers.py MEASUREMENTS DOCS
MEASUREMENTS holds a directory for each setting, threads-T-pool-K-batch-B, and in it for each peer and round
PEER-VARIANT.ROUND.json and dtrain-after-PEER-VARIANT.ROUND.json.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

import page

BEGIN, END = "<!-- bench-peers: begin -->", "<!-- bench-peers: end -->"
NAMES = {
    "tensorflow_question-installed": "the question's program, TensorFlow {version}, as installed",
    "tensorflow_question-tuned": "the same, tuned",
    "pytorch_step-installed": "PyTorch {version}, as installed",
    "pytorch_step-tuned": "the same, tuned",
}
COLORS = {"tensorflow": "#e59866", "pytorch": "#cd6155", "dtrain": "#1e8449"}


@dataclass
class Peer:
    key: str
    rounds: list  # pairs (the peer's JSON, the JSON of dtrain right after it)

    @property
    def title(self):
        return NAMES[self.key].format(version=self.rounds[0][0]["version"].split("+")[0])

    @property
    def ratios(self):
        return [peer["median_s"] / own["median_s"] for peer, own in self.rounds]


@dataclass
class Setting:
    threads: int
    pool: int
    batch: int
    peers: list

    @property
    def title(self):
        inputs = (240 // self.pool) * (320 // self.pool) * 8
        return f"{self.threads} thread{'s' * (self.threads != 1)}, FC1 {inputs:,} x 1024, batch {self.batch}"

    @property
    def own(self):
        return [own for peer in self.peers for _, own in peer.rounds]


def load(path):
    return page.load(path, ("median_s", "p90_s", "peak_memory_mb"), "Scripts/bench-peers.sh")


def read(measurements):
    settings = []
    for directory in measurements.iterdir():
        match = re.fullmatch(r"threads-(\d+)-pool-(\d+)-batch-(\d+)", directory.name)
        if not match:
            continue
        peers = []
        for key in NAMES:
            found = sorted(directory.glob(f"{key}.*.json"), key=lambda path: int(path.suffixes[-2][1:]))
            rounds = [(load(path), load(path.with_name(f"dtrain-after-{path.name}"))) for path in found]
            if rounds:
                peers.append(Peer(key, rounds))
        if peers:
            settings.append(Setting(*map(int, match.groups()), peers))
    if not settings:
        raise SystemExit(f"{measurements}: no measurements; hint: run Scripts/bench-peers.sh")
    return sorted(settings, key=lambda s: (s.pool, -s.threads))


def of(entries, key):
    return median(entry[key] for entry in entries)


def table(setting):
    lines = [
        f"### {setting.title}",
        "",
        "| program | median step, s | p90, s | peak memory, MiB | slower than dtrain (each round) | settings |",
        "|---|---|---|---|---|---|",
    ]
    for peer in setting.peers:
        entries = [entry for entry, _ in peer.rounds]
        each = ", ".join(f"{ratio:.2f}" for ratio in peer.ratios)
        lines.append(
            f"| {peer.title} | {of(entries, 'median_s'):.3f} | {of(entries, 'p90_s'):.3f} "
            f"| {of(entries, 'peak_memory_mb'):,.0f} | **{median(peer.ratios):.2f}** ({each}) | {entries[0]['settings']} |"
        )
    own = setting.own
    floor, rate = of(own, "floor_s"), of(own, "gflops")
    step = of(own, "median_s")
    lines.append(
        f"| **dtrain** | **{step:.3f}** | {of(own, 'p90_s'):.3f} | {of(own, 'peak_memory_mb'):,.0f} | 1 "
        f"| {step / floor:.2f} x the floor of {floor:.3f} s; {rate:.0f} GFLOP/s |"
    )
    return "\n".join(lines)


def section(settings):
    rounds = len(settings[0].peers[0].rounds)
    tables = "\n\n".join(table(setting) for setting in settings)
    return f"""{BEGIN}
Measured by `Scripts/bench-peers.sh` on {page.machine()}, {rounds} round{"s" * (rounds != 1)} in one run. Each peer was followed by dtrain at once, and its ratio is to that
run of dtrain; all other figures are medians over the rounds. "Tuned": glibc is told to keep freed memory (`MALLOC_MMAP_THRESHOLD_`, `MALLOC_TRIM_THRESHOLD_`, `MALLOC_TOP_PAD_` raised).

![Step times of the peers and dtrain](performance.svg)

{tables}
{END}"""


def draw(settings, path):
    page.style("performance")
    bars = len(NAMES) + 1
    figure, all_axes = plt.subplots(
        len(settings), 1, figsize=(9, 0.9 + len(settings) * (0.6 + 0.42 * bars)), squeeze=False
    )
    for axes, setting in zip(all_axes[:, 0], settings):
        rows = [
            (peer.title, [e for e, _ in peer.rounds], f"{median(peer.ratios):.1f} x dtrain", peer.key.split("_")[0])
            for peer in setting.peers
        ]
        floor = of(setting.own, "floor_s")
        rows.append(("dtrain", setting.own, f"{of(setting.own, 'median_s') / floor:.2f} x the floor", "dtrain"))
        for place, (title, entries, note, family) in enumerate(rows):
            times = [entry["median_s"] for entry in entries]
            centre = median(times)
            axes.barh(
                place, centre, color=COLORS[family], height=0.62,
                xerr=[[centre - min(times)], [max(times) - centre]], error_kw=dict(ecolor="#444444", capsize=3, linewidth=1),
            )
            axes.annotate(
                f"{centre:.2f} s   {note}", (max(times), place), xytext=(8, 0), textcoords="offset points", va="center", fontsize=9
            )
        axes.axvline(floor, color="black", linewidth=0.9, linestyle=":")
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.35 * max(entry["median_s"] for row in rows for entry in row[1]))
        axes.set_title(setting.title, fontsize=11, loc="left")
    figure.supxlabel(
        "median time of a step, s (whiskers: over the rounds); dotted: the step's arithmetic at the measured sgemm rate", fontsize=9
    )
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": "Scripts/plots/bench_peers.py"})


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: bench_peers.py MEASUREMENTS DOCS")
    docs = Path(sys.argv[2])
    settings = read(Path(sys.argv[1]))
    docs.mkdir(parents=True, exist_ok=True)
    draw(settings, docs / "performance.svg")
    page.replace(docs / "performance.md", BEGIN, END, section(settings), before="## Side by side\n")
    print(docs / "performance.md")


if __name__ == "__main__":
    main()
