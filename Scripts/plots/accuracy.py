#!/usr/bin/env python3
"""Learning curves from runs' metrics.jsonl: error of training batches (thin) and of held-out hands (dots) over the steps.

Usage: accuracy.py FILE.svg RUN[=TITLE] [RUN[=TITLE] ...]
RUN is a run directory of dtrain train.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLOURS = ["#2471a3", "#c0392b", "#1e8449", "#b9770e", "#6c3483", "#566573"]
# Logged batches that a point of the thin line is the mean of.
SPAN = 5


def read(run):
    """(steps, errors) of the training batches, and of the validations; a resumed run's later lines count."""
    path = Path(run) / "metrics.jsonl"
    if not path.exists():
        raise SystemExit(f"{path}: no such file; hint: RUN is a run directory of dtrain train")
    training, held = {}, {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise SystemExit(f"{path}:{number}: not a JSON line ({error})")
        if "validation" in entry:
            held[entry["step"]] = entry["validation"]["joint_error_mm"]
        elif "joint_error_mm" in entry:
            training[entry["step"]] = entry["joint_error_mm"]
    return [tuple(zip(*sorted(series.items()))) if series else ((), ()) for series in (training, held)]


def smooth(steps, errors):
    groups = range(0, len(steps) - SPAN + 1, SPAN)
    return [sum(steps[g : g + SPAN]) / SPAN for g in groups], [sum(errors[g : g + SPAN]) / SPAN for g in groups]


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    plt.rcParams["svg.hashsalt"] = "dtrain"  # the same bytes each time
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    for index, argument in enumerate(sys.argv[2:]):
        run, _, title = argument.partition("=")
        colour = COLOURS[index % len(COLOURS)]
        training, held = read(run)
        axes.plot(*smooth(*training), color=colour, linewidth=0.8, alpha=0.6)
        axes.plot(*held, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=title or Path(run).name)
    axes.set_yscale("log")
    ticks = [2, 3, 4, 5, 6, 8, 10, 15, 20, 30]
    axes.set_yticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("steps of 32 frames (thin: training batches; dots: held-out synthetic hands)")
    axes.set_ylabel("mean joint error, mm")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()
