#!/usr/bin/env python3
"""The tables in Docs/scaling.md and Docs/scaling.svg, from what Scripts/bench-scaling.sh measured.

Usage: scaling.py MEASUREMENTS DOCS
MEASUREMENTS holds settings.json and a directory for each place, nodes-N-ranks-P-rate-R. In it lies for each program and round
PROGRAM.ROUND.jsonl, dtrain's metrics: the line of its predictions, then those of the steps that count;
PROGRAM.ROUND.one-rank.jsonl, the same of one rank with all cores shortly before; or PROGRAM.ROUND.refused. PyTorch's is ddp.json,
and is held against one-rank.jsonl; or, of presets, ddp.ROUND.json and ddp.ROUND.one-rank.jsonl.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

import page

SCRIPT = "Scripts/bench-scaling.sh"
BEGIN, END = "<!-- bench-scaling: begin -->", "<!-- bench-scaling: end -->"
PROGRAMS = {
    "split": ("dtrain, `split`", "#145a32"),
    "sharded": ("dtrain, `sharded`", "#1e8449"),
    "allreduce": ("dtrain, `allreduce`", "#58d68d"),
    "allreduce-bf16": ("dtrain, `allreduce`, bf16 on the wire", "#abebc6"),
    "auto": ("dtrain, `auto`", "#2471a3"),
    "ddp": ("PyTorch DDP, gloo, tuned", "#cd6155"),
}


@dataclass
class Cell:
    program: str
    step: float  # s, median
    one_rank: float  # s, median
    relative: float  # throughput as a share of one rank's with all cores, median of the rounds
    waited: float = None  # s of a step in the exchange
    sent: float = None  # bytes a rank and step
    predicted: list = ()  # of each round: s, and how far off


@dataclass
class Place:
    nodes: int
    ranks: int
    rate: str
    cells: list
    refused: dict  # program -> why

    @property
    def title(self):
        if self.nodes == 1:
            return f"{self.ranks} ranks in one node"
        return f"{self.nodes} nodes, {'no limit' if self.rate == 'unlimited' else self.rate.replace('gbit', ' Gbit/s')}"

    @property
    def order(self):
        return (self.nodes, self.ranks, float("inf") if self.rate == "unlimited" else float(re.sub(r"\D", "", self.rate) or 0))

    def cell(self, program):
        return next((cell for cell in self.cells if cell.program == program), None)


@dataclass
class Run:
    step: float  # s, median
    waited: float
    sent: float
    predictions: dict  # exchange -> s
    exchange: str  # what ran


def run(path):
    """One run of dtrain."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, json.JSONDecodeError) as error:
        raise SystemExit(f"{path}: not dtrain's metrics ({error!r}); hint: run {SCRIPT} again")
    steps = [line for line in lines if "step_ms" in line]
    head = next((line for line in lines if "predicted" in line), {"predicted": {}, "exchange": None})
    if not steps:
        raise SystemExit(f"{path}: no step; hint: run {SCRIPT} again")

    def of(key):
        return median(line[key] for line in steps)

    return Run(
        of("step_ms") / 1000, of("exchange_wait_ms") / 1000, of("exchange_bytes"),
        {name: prediction["step_ms"] / 1000 for name, prediction in head["predicted"].items()}, head["exchange"])


def read_cell(directory, program):
    if program == "ddp":
        rounds = [
            (page.load(path, ("median_s",), SCRIPT)["median_s"], run(path.with_name(f"{path.stem}.one-rank.jsonl")).step)
            for path in sorted(directory.glob("ddp.*.json"))
        ]
        if rounds:
            return Cell(
                program, median(step for step, _ in rounds), median(one for _, one in rounds), median(one / step for step, one in rounds))
        if not (directory / "ddp.json").exists():
            return None
        step = page.load(directory / "ddp.json", ("median_s",), SCRIPT)["median_s"]
        one_rank = run(directory / "one-rank.jsonl").step
        return Cell(program, step, one_rank, one_rank / step)
    paths = [path for path in sorted(directory.glob(f"{program}.*.jsonl")) if "one-rank" not in path.name]
    if not paths:
        return None
    rounds = [(run(path), run(path.with_name(f"{path.stem}.one-rank.jsonl"))) for path in paths]
    return Cell(
        program, median(own.step for own, _ in rounds), median(one.step for _, one in rounds),
        median(one.step / own.step for own, one in rounds), median(own.waited for own, _ in rounds),
        median(own.sent for own, _ in rounds),
        [
            (own.predictions[own.exchange], own.predictions[own.exchange] / own.step - 1)
            for own, _ in rounds if own.exchange in own.predictions
        ],
    )


def read(measurements):
    places = []
    for directory in measurements.iterdir():
        match = re.fullmatch(r"nodes-(\d+)-ranks-(\d+)-rate-(\w+)", directory.name)
        if not match:
            continue
        refused = {
            program: (directory / f"{program}.1.refused").read_text(encoding="utf-8").strip()
            for program in PROGRAMS if (directory / f"{program}.1.refused").exists()
        }
        cells = [
            cell for program in PROGRAMS
            if program not in refused and (cell := read_cell(directory, program))
        ]
        if cells or refused:
            places.append(Place(int(match[1]), int(match[2]), match[3], cells, refused))
    if not any(place.cells for place in places):
        raise SystemExit(f"{measurements}: no measurements; hint: run {SCRIPT}")
    return sorted(places, key=lambda place: place.order)


def prediction(cell):
    if not cell.predicted:
        return "-"
    seconds = median(seconds for seconds, _ in cell.predicted)
    return f"{seconds:.2f} ({', '.join(f'{100 * off:+.0f}%' for _, off in cell.predicted)})"


def table(place):
    lines = [
        f"### {place.title}",
        "",
        "| program | throughput, one rank with all cores = 1 | times DDP | step, s | steps/s | of it exchange, s | sent by rank 0, MB | predicted step, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ddp = place.cell("ddp")
    for cell in place.cells:
        times = f"{ddp.step / cell.step:.2f}" if ddp else "-"
        waited = "-" if cell.waited is None else f"{cell.waited:.2f}"
        sent = "-" if cell.sent is None else f"{cell.sent / 1e6:,.0f}"
        lines.append(
            f"| {PROGRAMS[cell.program][0]} | **{cell.relative:.2f}** | {times} | {cell.step:.3f} | {1 / cell.step:.3f} "
            f"| {waited} | {sent} | {prediction(cell)} |"
        )
    if place.refused:
        names = ", ".join(PROGRAMS[program][0] for program in place.refused)
        lines += ["", f"Left out, since this build of dtrain refuses it: {names}."]
    return "\n".join(lines)


def section(places, settings):
    one_rank = median(cell.one_rank for place in places for cell in place.cells)
    tables = "\n\n".join(table(place) for place in places)
    return f"""{BEGIN}
Measured by `{SCRIPT}` on {page.machine()}; FC1 {(240 // settings["pool"]) * (320 // settings["pool"]) * 8:,} x 1024, global batch {settings["batch"]}; medians of
{settings["steps"]} steps, a third of them where gradients travel at 1 Gbit/s; `split` of {settings["rounds"]} runs. One rank of dtrain with all {settings["processors"]} cores took {one_rank:.3f} s a step (median; measured in each place, and before
each run of `split`; a throughput is relative to the run before it). All nodes are on this one machine: they share its {settings["processors"]} cores and its memory.

![Throughput of several ranks, relative to one rank with all cores](scaling.svg)

{tables}
{END}"""


def bars(axes, titles, shares, programs):
    """A group of bars a place. shares: throughput by the place's title and program, 1: one rank with all cores."""
    width = 0.84 / len(programs)
    for number, program in enumerate(programs):
        for spot, title in enumerate(titles):
            if (share := shares.get((title, program))) is not None:
                x = spot + (number - (len(programs) - 1) / 2) * width
                axes.bar(x, share, width, color=PROGRAMS[program][1])
                axes.annotate(
                    f"{share:.2f}", (x, share), xytext=(0, 2), textcoords="offset points",
                    ha="center", va="bottom", fontsize=7, rotation=90,
                )
    axes.axhline(1, color="black", linewidth=0.9, linestyle=":")
    axes.set_xticks(range(len(titles)), [title.replace(", ", "\n").replace(" ranks in", " ranks\nin") for title in titles])
    axes.set_ylim(0, 1.15 * max(1, max(shares.values())))


def legend(figure, axes, programs):
    """The programs' colours below the axes."""
    for program in programs:
        axes.bar(0, 0, color=PROGRAMS[program][1], label=PROGRAMS[program][0].replace("`", ""))
    figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=9)


def draw(places, path):
    page.style("scaling")
    shares = {(place.title, cell.program): cell.relative for place in places for cell in place.cells}
    present = [program for program in PROGRAMS if any(place.cell(program) for place in places)]
    figure, axes = plt.subplots(figsize=(max(7, 1.5 + 1.35 * len(places)), 4.8))
    bars(axes, [place.title for place in places], shares, present)
    axes.set_ylabel("throughput; 1: one rank with all cores")
    legend(figure, axes, present)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.savefig(path, metadata={"Date": None, "Creator": "Scripts/plots/scaling.py"})


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: scaling.py MEASUREMENTS DOCS")
    measurements, docs = Path(sys.argv[1]), Path(sys.argv[2])
    settings = page.load(measurements / "settings.json", ("processors", "pool", "batch", "steps", "rounds"), SCRIPT)
    places = read(measurements)
    docs.mkdir(parents=True, exist_ok=True)
    draw(places, docs / "scaling.svg")
    page.replace(docs / "scaling.md", BEGIN, END, section(places, settings), before="## Measured\n")
    print(docs / "scaling.md")


if __name__ == "__main__":
    main()
