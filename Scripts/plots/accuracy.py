#!/usr/bin/env python3
"""Learning curves: error of training batches (thin) and of held-out hands (dots) over the minutes of training.

Usage: accuracy.py FILE.svg CURVE[=TITLE] [CURVE[=TITLE] ...]
       accuracy.py FILE.csv RUN
CURVE is a run directory of dtrain train, or a file that the second form has made of one. Of a title, the first word decides
the colour; where it says "ranks", the line is dashed. Minutes are those of the steps: validations and checkpoints are left out.
"""

import csv
import json
import sys
from pathlib import Path

COLOURS = ["#2471a3", "#c0392b", "#1e8449", "#b9770e", "#6c3483", "#566573"]
# Points of the thin line.
POINTS = 80
COLUMNS = ["minutes", "step", "error_mm", "held_out_error_mm"]


def read(run):
    """Rows of COLUMNS, of a run directory; one of the errors is empty. A resumed run's later lines count."""
    path = Path(run) / "metrics.jsonl"
    if not path.exists():
        raise SystemExit(f"{path}: no such file; hint: name a run directory of dtrain train, or a .csv made of one")
    training, held = {}, {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise SystemExit(f"{path}:{number}: not a JSON line ({error})")
        if "validation" in entry:
            held[entry["step"]] = entry["validation"]["joint_error_mm"]
        elif "joint_error_mm" in entry:
            training[entry["step"]] = (entry["joint_error_mm"], entry["step_ms"])
    # A line tells of the steps since the one before.
    minutes, last, rows, span = {}, 0, [], []
    elapsed = 0.0
    for step, (error, step_ms) in sorted(training.items()):
        elapsed += (step - last) * step_ms / 60000
        last = step
        minutes[step] = elapsed
        span.append((elapsed, step, error))
        if len(span) >= max(1, len(training) // POINTS):
            middle = span[len(span) // 2]
            rows.append((middle[0], middle[1], sum(error for _, _, error in span) / len(span), ""))
            span = []

    def at(step):
        before = max((logged for logged in minutes if logged <= step), default=0)
        after = min((logged for logged in minutes if logged > step), default=None)
        return minutes.get(before, 0.0) + ((step - before) * training[after][1] / 60000 if after else 0.0)

    rows += [(at(step), step, "", error) for step, error in held.items()]
    return sorted(rows, key=lambda row: row[:2])


def load(curve):
    """The same of a run directory or a file."""
    if not curve.endswith(".csv"):
        return read(curve)
    try:
        with open(curve, encoding="utf-8", newline="") as file:
            return [
                tuple(float(row[name]) if row[name] else "" for name in COLUMNS)
                for row in csv.DictReader(line for line in file if not line.startswith("#"))
            ]
    except (OSError, KeyError, ValueError) as error:
        raise SystemExit(f"{curve}: not a curve ({error!r}); hint: accuracy.py FILE.csv RUN makes one")


def write(path, run):
    found = read(run)
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows([f"{m:.3f}", step, *("" if error == "" else f"{error:.3f}" for error in errors)] for m, step, *errors in found)


def draw(path, curves):
    # Tables need no matplotlib.
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "dtrain"  # the same bytes each time
    figure, axes = plt.subplots(figsize=(7.5, 4.6))
    colours = {}
    for argument in curves:
        curve, _, title = argument.partition("=")
        title = title or Path(curve).stem
        colour = colours.setdefault(title.split()[0].rstrip(","), COLOURS[len(colours) % len(COLOURS)])
        style = "--" if "ranks" in title else "-"
        rows = load(curve)
        for column, look in [(2, dict(linewidth=0.7, alpha=0.5)), (3, dict(marker="o", markersize=2.8, linewidth=1.4, label=title))]:
            points = [(row[0], row[column]) for row in rows if row[column] != ""]
            axes.plot(*(zip(*points) if points else ((), ())), color=colour, linestyle=style, **look)
    axes.set_yscale("log")
    ticks = [2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40]
    axes.set_yticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlim(left=0)
    axes.set_xlabel("minutes of training (thin: training batches; dots: held-out synthetic hands)")
    axes.set_ylabel("mean joint error, mm")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    if len(sys.argv) < 3 or not sys.argv[1].endswith((".svg", ".csv")):
        raise SystemExit(__doc__)
    if sys.argv[1].endswith(".csv"):
        write(sys.argv[1], sys.argv[2])
    else:
        draw(sys.argv[1], sys.argv[2:])


if __name__ == "__main__":
    main()
