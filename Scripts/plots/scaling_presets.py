#!/usr/bin/env python3
"""The tables of presets in Docs/scaling.md, from what Scripts/bench-scaling.sh --preset measured.

Usage: scaling_presets.py MEASUREMENTS DOCS
MEASUREMENTS holds a directory for each preset, laid out as scaling.py's.
"""

import sys
from pathlib import Path

import page
import scaling

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


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: scaling_presets.py MEASUREMENTS DOCS")
    measurements, docs = Path(sys.argv[1]), Path(sys.argv[2])
    tables = "\n\n".join(table(measurements / preset) for preset in PRESETS if (measurements / preset / "settings.json").exists())
    section = f"""{BEGIN}
Measured by `{scaling.SCRIPT} --preset` on {page.machine()}; a run of one rank, then one of each program, by turns; a throughput is relative
to the run of one rank just before (PyTorch's: before the last of dtrain's). No augmentation, frames in the cache; PyTorch has random crops in memory.

{tables}
{END}"""
    page.replace(docs / "scaling.md", BEGIN, END, section, before="## Presets of crops\n")
    print(docs / "scaling.md")


if __name__ == "__main__":
    main()
