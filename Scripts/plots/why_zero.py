#!/usr/bin/env python3
"""Docs/why-zero.md and Docs/why-zero.svg from the runs of Scripts/why-zero.sh.

Usage: why_zero.py RUNS DOCS
RUNS holds, for each of relu, linear, exp, cured and cured-exp, NAME/metrics.jsonl, NAME.command (its command line) and
NAME.error (what it wrote to standard error: empty, or why dtrain ended it).
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

# Mean over the 1596 x 48 numbers of the published label files test_seq_1.txt and test_seq_2.txt of ICVL.
ICVL_MEAN_SQUARED_LABEL = 52878.53

TITLES = {
    "relu": "as it was: ReLU output",
    "linear": "the same, linear output",
    "exp": "the same, exp output",
    "cured": "cured: linear output, sane input and initial values",
    "cured-exp": "cured, exp output",
}
STYLES = {
    "relu": dict(color="#c0392b", linewidth=2.2),
    "linear": dict(color="#2471a3", linewidth=1.6),
    "exp": dict(color="#b9770e", linewidth=1.6, linestyle="--"),
    "cured": dict(color="#1e8449", linewidth=2.2),
    "cured-exp": dict(color="#58d68d", linewidth=1.6, linestyle="--"),
}
SERIES = ["step", "loss", "joint_error_mm", "zero_output_share", "output_gradient_norm", "mean_squared_label"]


@dataclass
class Run:
    name: str
    command: str
    error: str  # why dtrain ended it; empty when it did not
    series: dict  # key -> list of floats, one a step; NaN where the program wrote null (not finite)

    def first(self, key):
        return self.series[key][0] if self.series[key] else math.nan

    def last(self, key):
        return self.series[key][-1] if self.series[key] else math.nan

    @property
    def ended_not_finite(self):
        return bool(self.error) or not all(math.isfinite(self.last(key)) for key in ("loss", "output_gradient_norm"))

    @property
    def first_all_zero(self):
        """Index of the first step at which every output of the batch is exactly 0, or None."""
        shares = self.series["zero_output_share"]
        return shares.index(1) if 1 in shares else None


def read(runs, name):
    path = runs / name / "metrics.jsonl"
    series = {key: [] for key in SERIES}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise SystemExit(f"{path}:{number}: not a JSON line ({error}); hint: run Scripts/why-zero.sh again")
        if "zero_output_share" not in entry:  # a line of a validation
            continue
        for key in SERIES:
            value = entry.get(key)
            series[key].append(math.nan if value is None else float(value))
    command = (runs / f"{name}.command").read_text(encoding="utf-8").strip()
    error = (runs / f"{name}.error").read_text(encoding="utf-8").strip()
    if not series["step"] and not error:
        raise SystemExit(f"{path}: no step in it; hint: run Scripts/why-zero.sh again")
    return Run(name, command, error, series)


def draw(runs, path):
    plt.rcParams.update(
        {
            "svg.hashsalt": "why-zero",  # the same bytes from the same metrics
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.6,
        }
    )
    figure, (loss, zeros, gradient) = plt.subplots(3, 1, figsize=(8, 9.6), sharex=True, height_ratios=[2, 1, 1.4])
    for run in runs.values():
        style = STYLES[run.name]
        steps = run.series["step"]
        finite = [value if math.isfinite(value) and value > 0 else math.nan for value in run.series["loss"]]
        loss.plot(steps, finite, label=TITLES[run.name], **style)
        zeros.plot(steps, [100 * share for share in run.series["zero_output_share"]], **style)
        gradient.plot(steps, run.series["output_gradient_norm"], **style)
        if run.ended_not_finite:
            note_overflow(loss, run, finite)

    labels = runs["relu"].series["mean_squared_label"]
    level = sum(labels) / len(labels)
    loss.axhline(level, color="black", linewidth=0.9, linestyle=":", zorder=0)
    loss.annotate(
        f"mean squared label, {level:,.0f}: the loss of outputs that are all 0",
        (1, level), xycoords=("axes fraction", "data"), xytext=(0, -4), textcoords="offset points",
        ha="right", va="top", fontsize=9,
    )
    loss.set_yscale("log")
    loss.set_ylabel("loss (mean squared error)")
    loss.set_title("Why the loss stays above 40,000: the outputs are 0, and a ReLU at 0 passes no gradient", fontsize=11)
    # Below the axes' title and above the curves there is no place that is free for any data.
    figure.legend(*loss.get_legend_handles_labels(), loc="lower center", ncols=2, frameon=False, fontsize=9)

    zeros.set_ylabel("outputs that are\nexactly 0, %")
    zeros.set_ylim(-4, 104)

    # A logarithm that can show 0: linear below the smallest gradient that is not 0.
    norms = [v for run in runs.values() for v in run.series["output_gradient_norm"] if math.isfinite(v) and v > 0]
    threshold = 10.0 ** math.floor(math.log10(min(norms))) if norms else 1.0
    gradient.set_yscale("symlog", linthresh=threshold)
    gradient.set_ylim(bottom=-0.15 * threshold)
    if norms:
        decades = range(int(math.log10(threshold)), math.ceil(math.log10(max(norms))) + 1)
        stride = max(1, len(decades) // 6)
        gradient.set_yticks([0.0] + [10.0**d for d in decades][::stride])
        gradient.minorticks_off()
    gradient.set_ylabel("gradient norm that\nreaches the last layer")
    gradient.set_xlabel("step")
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.align_ylabels()
    figure.savefig(path, metadata={"Date": None, "Creator": "Scripts/plots/why_zero.py"})


def note_overflow(axes, run, finite):
    """Says where a run's loss stopped being a number."""
    known = [(step, value) for step, value in zip(run.series["step"], finite) if not math.isnan(value)]
    color = STYLES[run.name]["color"]
    if known:
        axes.plot(*known[-1], marker="x", color=color)
        place, text = dict(xy=known[-1], xytext=(6, 6)), f"{TITLES[run.name]}: not finite after step {int(known[-1][0])}"
    else:
        place = dict(xy=(1, 1), xycoords="axes fraction", xytext=(-6, -12), ha="right")
        text = f"{TITLES[run.name]}: not finite from the first step"
    axes.annotate(text, **place, textcoords="offset points", color=color, fontsize=9)


def number(value):
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    return f"{value:,.2f}" if 0.01 <= abs(value) < 1e7 else f"{value:.2e}"


def table(runs):
    def percent(share):
        return f"{100 * share:.0f}%" if math.isfinite(share) else "-"

    lines = [
        "| run | loss at the first step | at the last | outputs exactly 0 at the last step | gradient norm there | joint error, mm |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs.values():
        lines.append(
            f"| {TITLES[run.name]} | {number(run.first('loss'))} | {number(run.last('loss'))} "
            f"| {percent(run.last('zero_output_share'))} | {number(run.last('output_gradient_norm'))} "
            f"| {number(run.last('joint_error_mm'))} |"
        )
    return "\n".join(lines)


def what_happened(relu):
    """The story of the first run, as its metrics tell it."""
    start = (
        f"At the first step the loss is {number(relu.first('loss'))} and {100 * relu.first('zero_output_share'):.0f}% of the "
        "outputs are exactly 0."
    )
    shares, index = relu.series["zero_output_share"], relu.first_all_zero
    if index is None:
        return (
            f"{start} At the last step it is {100 * shares[-1]:.2f}%, so in this run the network has not died altogether; the "
            "outputs that are 0 get no gradient all the same."
        )
    loss, label = relu.series["loss"][index], relu.series["mean_squared_label"][index]
    return (
        f"{start} At step {relu.series['step'][index]:.0f} *every* output is exactly 0, for every frame of the batch. The loss there "
        f"is {loss:,.2f}, and the mean squared label of that batch is {label:,.2f}: with all outputs 0 the squared error *is* the "
        f"squared label (they differ by {abs(loss / label - 1):.1e} of it). The gradient norm that reaches the last layer is "
        f"{number(relu.series['output_gradient_norm'][index])}. From there on at least {100 * min(shares[index:]):.2f}% of the "
        "outputs are 0 at every step. What still moves in the curve is the labels, for each step has another batch, and now and then a "
        "frame so unlike the others that one of its outputs is not 0."
    )


def what_the_others_did(runs):
    lines = []
    for name, reason in (
        ("linear", "a linear output has slope 1 everywhere, so an output that is wrong is always told so"),
        ("exp", "exp is positive, as labels in pixels and millimetres are, and its slope is never 0; but it turns large "
         "values before it into astronomical ones"),
    ):
        run = runs[name]
        if run.ended_not_finite:
            result = (
                "The loss overflowed: raw depth (up to 32,001) times these initial values gives numbers far beyond what exp can "
                f"take in fp32 (about 88). dtrain ended the run: `{run.error}`. "
                "An exp output needs the conditioning of `--preset seed` too"
            )
        elif run.last("zero_output_share") == 1:
            result = "Nevertheless all outputs are 0 at the last step"
        else:
            factor = run.first("loss") / run.last("loss")
            result = (
                f"The gradient did not vanish ({number(run.last('output_gradient_norm'))} at the last step); the loss went from "
                f"{number(run.first('loss'))} to {number(run.last('loss'))}"
                + (f", {factor:,.1f} times lower" if factor > 1.05 else ", which is no progress yet")
            )
        lines.append(f"- **`--output {name}`**: {reason}. {result}.")
    for name, flags in (("cured", "--preset seed"), ("cured-exp", "--preset seed --output exp --learning-rate 1e-5")):
        run = runs[name]
        lines.append(
            f"- **`{flags}`** ({'exp' if 'exp' in name else 'linear'} output, depth normalised, He initial values, last bias at the mean label): "
            f"{number(run.first('loss'))} at the first step, {number(run.last('loss'))} at the last, a joint error of "
            f"{number(run.last('joint_error_mm'))} mm on that step's batch."
        )
    return "\n".join(lines)


def page(runs):
    relu = runs["relu"]
    labels = relu.series["mean_squared_label"]
    commands = "\n".join(run.command for run in runs.values())
    return f"""# Why the loss stays above 40,000

The question: a network that should find the joints of a hand in depth frames trains without an error, but its loss stays above 40,000
and does not decrease, and its outputs are all 0.

![Loss, share of outputs that are exactly 0, and gradient norm of five runs](why-zero.svg)

{table(runs)}

## What happened
The last layer of the question's program ends in a ReLU, `max(0, x)`. A ReLU at 0 has slope 0: an output that is 0 passes no gradient
back, so no weight learns that it should have been 200.

{what_happened(relu)}

What sends the outputs there is the scale of everything before them: depth as it comes from the camera (the background is 32,001), initial
weights of 0.1 where 153,600 inputs meet, and Adam, whose steps have the same size for each weight, however large the values that the weight multiplies.
The values before the last ReLU are enormous. Those that are negative make outputs of 0 from the beginning ({100 * relu.first("zero_output_share"):.0f}% here); the
updates, as enormous, push others below 0; and what is below 0 gets no gradient to come back by.

## Where 40,000 comes from
It is not a number that training reached. It is the mean of the squared labels, the loss of a network that says 0 to everything:
on average {sum(labels) / len(labels):,.0f} in these runs, and {ICVL_MEAN_SQUARED_LABEL:,.2f} for the real ICVL test labels (the mean of the squares of all numbers in the data set's published label
files `test_seq_1.txt` and `test_seq_2.txt`, 1,596 frames of 16 joints as u, v in pixels and depth in mm). A loss near that value means: look at the outputs, they are zero.

## What cures it
{what_the_others_did(runs)}

## What to do
1. Give a regression network a linear output: `--output linear`, the default. Where outputs must be positive, use exp (`--output exp`) or
   softplus, never ReLU.
2. Scale the input to the order of 1 (`--input normalized`, the default: nearness from 0 to 2, background 0), and give each layer initial values that fit
   the number of its inputs (`--initial-values he`, the default, which also starts the last bias at the mean label).
3. When a loss does not move, print the outputs and the gradient norms before changing the learning rate. dtrain does: during any
   training it warns once when outputs are constant over a batch, when ReLU units are dead, or when no gradient reaches a layer, and names the flag that cures it.

## How this page was made
`Scripts/why-zero.sh`, which ran these and wrote the page and the picture from their `metrics.jsonl`:

```
{commands}
```
"""


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: why_zero.py RUNS DOCS")
    source, docs = Path(sys.argv[1]), Path(sys.argv[2])
    runs = {name: read(source, name) for name in TITLES}
    docs.mkdir(parents=True, exist_ok=True)
    draw(runs, docs / "why-zero.svg")
    (docs / "why-zero.md").write_text(page(runs), encoding="utf-8")
    print(docs / "why-zero.md")


if __name__ == "__main__":
    main()
