#!/usr/bin/env python3
"""The section on bf16 in Docs/scaling.md and Docs/wire.svg, from the metrics of Scripts/wire.sh.

Usage: wire.py RUNS DOCS
"""

import json
import sys
from pathlib import Path
from statistics import mean

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

import page

BEGIN, END = "<!-- wire: begin -->", "<!-- wire: end -->"
EXCHANGES = ("allreduce", "sharded")
# Over hundreds of steps courses part; the tests ask for 1% in each of the first 20 steps.
TOLERANCE = 0.02
WINDOW = 50


def read(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    validation = [line["validation"]["loss"] for line in lines if "validation" in line][-1]
    sent = [line["exchange_bytes"] for line in lines if "loss" in line][-1]
    return losses, validation, sent


def smooth(losses):
    return [mean(losses[max(0, end - WINDOW) : end]) for end in range(1, len(losses) + 1)]


def section(runs, command):
    rows = [
        "| exchange | held-out loss, fp32 | bf16 | difference | largest difference of the loss, means of "
        f"{WINDOW} steps | bytes sent a step, fp32 | bf16 |",
        "|---|---|---|---|---|---|---|",
    ]
    worst = 0
    for exchange in EXCHANGES:
        (losses, held_out, sent), (rounded, rounded_held_out, rounded_sent) = (runs[exchange, wire] for wire in ("fp32", "bf16"))
        apart = max(abs(b / a - 1) for a, b in list(zip(smooth(losses), smooth(rounded)))[WINDOW:])
        worst = max(worst, apart)
        rows.append(
            f"| `{exchange}` | {held_out:.2f} | {rounded_held_out:.2f} | {100 * (rounded_held_out / held_out - 1):+.2f}% "
            f"| {100 * apart:.2f}% | {sent:,.0f} | {rounded_sent:,.0f} |"
        )
    verdict = "within" if worst <= TOLERANCE else "beyond"
    return "\n".join(
        [
            BEGIN,
            f"`{command}`, by `Scripts/wire.sh`:",
            "",
            *rows,
            "",
            f"The losses, means of {WINDOW} steps, stay {verdict} {100 * TOLERANCE:.0f}% of those of fp32.",
            "",
            "![loss of a small network with gradients that travel as fp32 and as bf16](wire.svg)",
            END,
        ]
    )


def draw(runs, path):
    page.style("wire")
    figure, (loss, difference) = plt.subplots(2, 1, figsize=(8, 5.4), sharex=True, height_ratios=[2, 1])
    for exchange, color in zip(EXCHANGES, ("#1e8449", "#2471a3")):
        fp32, bf16 = (smooth(runs[exchange, wire][0]) for wire in ("fp32", "bf16"))
        loss.plot(fp32, color=color, linewidth=1.2, label=f"{exchange}, fp32")
        loss.plot(bf16, color=color, linewidth=1.2, linestyle="--", label=f"{exchange}, bf16")
        difference.plot([100 * (b / a - 1) for a, b in zip(fp32, bf16)], color=color, linewidth=1.2)
    loss.set_ylabel(f"loss, mean of {WINDOW} steps")
    loss.legend(frameon=False)
    difference.set_ylabel("bf16 against\nfp32, %")
    difference.set_xlabel("step")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": "Scripts/plots/wire.py"})


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: wire.py RUNS DOCS")
    source, docs = Path(sys.argv[1]), Path(sys.argv[2])
    runs = {
        (exchange, wire): read(source / f"{exchange}-{wire}" / "metrics.jsonl")
        for exchange in EXCHANGES
        for wire in ("fp32", "bf16")
    }
    draw(runs, docs / "wire.svg")
    text = section(runs, (source / "command").read_text().strip())
    page.replace(docs / "scaling.md", BEGIN, END, text, before="## bf16 on the wire\n")
    print(docs / "scaling.md")


if __name__ == "__main__":
    main()
