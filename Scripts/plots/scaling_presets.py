#!/usr/bin/env python3
"""The tables of presets in Docs/scaling.md, from what Scripts/bench-scaling.sh --preset measured, and Docs/scaling-presets.svg.

Usage: scaling_presets.py MEASUREMENTS DOCS
       scaling_presets.py DOCS                  the picture alone, from the page's tables
MEASUREMENTS holds a directory for each preset, laid out as scaling.py's.
"""

import re
import sys
from pathlib import Path

# Chooses matplotlib's way to draw.
import scaling

import matplotlib.pyplot as plt

import page

BEGIN, END = "<!-- bench-scaling-presets: begin -->", "<!-- bench-scaling-presets: end -->"
PRESETS = ("deepprior", "ren", "dense", "dtrain-hand")


def row(place, cell):
    ddp = place.cell("ddp")
    times = f"{ddp.step / cell.step:.2f}" if ddp else "-"
    waited = "-" if cell.waited is None else f"{cell.waited * 1000:.1f}"
    sent = "-" if cell.sent is None else f"{cell.sent / 1e6:,.1f}"
    predicted = "-"
    if cell.predicted:
        seconds = sorted(seconds for seconds, _ in cell.predicted)[len(cell.predicted) // 2]
        predicted = f"{seconds * 1000:.0f} ({', '.join(f'{100 * off:+.0f}%' for _, off in cell.predicted)})"
    return (
        f"| {place.title} | {scaling.PROGRAMS[cell.program][0]} | **{cell.relative:.2f}** | {times} | {cell.step * 1000:.1f} "
        f"| {waited} | {sent} | {predicted} |"
    )


def table(directory):
    settings = page.load(directory / "settings.json", ("processors", "batch", "steps", "rounds"), scaling.SCRIPT)
    places = scaling.read(directory)
    one_rank = [cell.one_rank for place in places for cell in place.cells]
    rows = "\n".join(row(place, cell) for place in places for cell in place.cells)
    return f"""### `{directory.name}`, global batch {settings["batch"]}

One rank with all {settings["processors"]} cores: {min(one_rank) * 1000:.1f} to {max(one_rank) * 1000:.1f} ms a step. Medians of {settings["rounds"]} runs of {settings["steps"]} steps.

| place | program | throughput, one rank with all cores = 1 | times DDP | step, ms | of it waiting for the exchange, ms | sent by rank 0, MB | predicted step, ms |
|---|---|---|---|---|---|---|---|
{rows}"""


def write(measurements, docs):
    tables = "\n\n".join(table(measurements / preset) for preset in PRESETS if (measurements / preset / "settings.json").exists())
    section = f"""{BEGIN}
Measured by `{scaling.SCRIPT} --preset` on {page.machine()}; a run of one rank, then one of each program, by turns; a throughput is relative
to the run of one rank just before (PyTorch's: before the last of dtrain's). No augmentation, frames in the cache; PyTorch has random crops in memory.

![Throughput of several ranks on presets of crops, relative to one rank with all cores](scaling-presets.svg)

{tables}
{END}"""
    page.replace(docs / "scaling.md", BEGIN, END, section, before="## Presets of crops\n")
    print(docs / "scaling.md")


def shares(text):
    """Of the page: the machine that measured, and each preset's throughput, a share of one rank's, by place and program."""
    section = text.partition(BEGIN)[2].partition(END)[0]
    machine = re.search(r" on (.+?); a run of one rank", section)
    programs = {title: program for program, (title, _) in scaling.PROGRAMS.items()}
    presets = {}
    for title, rows in re.findall(r"^### (.+?)$(.*?)(?=^### |\Z)", section, re.MULTILINE | re.DOTALL):
        cells = re.findall(r"^\| (.+?) \| (.+?) \| \*\*([\d.]+)\*\* \|", rows, re.MULTILINE)
        presets[title.replace("`", "")] = {(place, programs[program]): float(share) for place, program, share in cells}
    if not machine or not presets:
        raise SystemExit(f"no tables of presets in scaling.md; hint: run {scaling.SCRIPT} --preset")
    return machine.group(1), presets


def draw(machine, presets, path):
    page.style("scaling-presets")
    programs = [program for program in scaling.PROGRAMS if any(program == other for cells in presets.values() for _, other in cells)]
    places = max(len({place for place, _ in cells}) for cells in presets.values())
    # Of the heading and the legend, and of a preset; inches.
    edges, height = 1.0, 2.7
    figure, all_axes = plt.subplots(
        len(presets), 1, figsize=(max(7, 1.5 + 1.35 * places), edges + height * len(presets)), squeeze=False
    )
    for axes, (title, cells) in zip(all_axes[:, 0], presets.items()):
        scaling.bars(axes, list(dict.fromkeys(place for place, _ in cells)), cells, programs)
        axes.set_title(title, fontsize=11, loc="left")
    figure.suptitle(f"Measured on {machine}", fontsize=11)
    figure.supylabel("throughput; 1: one rank with all cores", fontsize=10)
    scaling.legend(figure, all_axes[0, 0], programs)
    figure.tight_layout(rect=(0, edges / 2 / (edges + height * len(presets)), 1, 1))
    figure.savefig(path, metadata={"Date": None, "Creator": "Scripts/plots/scaling_presets.py"})


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit("usage: scaling_presets.py [MEASUREMENTS] DOCS")
    docs = Path(sys.argv[-1])
    if len(sys.argv) == 3:
        write(Path(sys.argv[1]), docs)
    picture = docs / "scaling-presets.svg"
    draw(*shares((docs / "scaling.md").read_text(encoding="utf-8")), picture)
    print(picture)


if __name__ == "__main__":
    main()
