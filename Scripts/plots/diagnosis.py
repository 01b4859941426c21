"""Commits each mistake and trains in good health; writes Docs/diagnosis.md and Docs/diagnosis.svg.

diagnosis.py DTRAIN DOCS SEEDS
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import page

SMALL = ["--image-size", "64x48", "--hidden", "64", "--batch-size", "20", "--synthetic-frames", "400", "--synthetic-test-frames", "40"]
HAND = ["--preset", "dtrain-hand", "--crop-size", "48", "--batch-size", "16", "--synthetic-frames", "400", "--synthetic-test-frames", "40"]
CROPS = ["--batch-size", "16", "--synthetic-frames", "400", "--synthetic-test-frames", "40"]
STEPS = ["--steps", "50"]

# Weights of standard deviation 1 where hundreds of inputs meet.
NETWORK = """input: {height: 48, width: 48}
layers:
  - convolution: {channels: 8, kernel: 5, stride: 2, initial: normal:1}
  - activation: relu
  - max-pooling: 2
  - dense: {units: 64, initial: normal:1}
  - activation: relu
  - dense: {units: 48, initial: normal:1}
"""

# Mistakes of the command line: name, arguments, part of the line that must be said.
MISTAKES = [
    ("output ReLU, the question's program", ["--preset", "seed-verbatim", *SMALL, "--batch-size", "50", "--learning-rate", "1e-3"], "of the outputs are exactly 0"),
    ("initial values too large", ["--network", "NETWORK", *CROPS], "the initial values are too large"),
    ("input not scaled", [*SMALL, "--input", "raw"], "the input is not scaled"),
    ("learning rate too high", [*SMALL, "--learning-rate", "0.3"], "the learning rate is too high"),
    ("learning rate too high, crops", [*HAND, "--learning-rate", "3"], "the learning rate is too high"),
    ("learning rate too low", [*SMALL, "--learning-rate", "1e-9"], "is too low"),
    ("learning rate too low, crops", [*HAND, "--learning-rate", "1e-9"], "is too low"),
    (
        "overfitting",
        ["--preset", "seed", *SMALL, "--synthetic-frames", "40", "--learning-rate", "1e-3", "--validate-every", "10", "--steps", "400"],
        "learns its frames by heart",
    ),
]


# Mistakes of the data: name, what becomes of a label line (path, 48 numbers, its number, all lines), part of the line.
def every(change):
    def lines(rows):
        result = []
        for path, label in rows:
            values = [change(label[3 * j], label[3 * j + 1], label[3 * j + 2]) for j in range(16)]
            result.append((path, [value for triple in values for value in triple]))
        return result

    return lines


def constant(rows):
    return [(path, rows[0][1]) for path, _ in rows]


def shuffled(rows):
    return [(path, rows[(37 * number + 211) % len(rows)][1]) for number, (path, _) in enumerate(rows)]


DATA_MISTAKES = [
    ("labels constant", constant, "are the same"),
    ("labels shuffled against frames", shuffled, "are shuffled"),
    ("d in metres", every(lambda u, v, d: (u, v, d / 1000)), "d are metres"),
    ("x, y, z in mm instead of u, v in pixels", every(lambda u, v, d: ((u - 80) * d / 120.71, (v - 60) * d / 120.71, d)), "x, y, z in mm"),
    ("mirrored", every(lambda u, v, d: (159 - u, v, d)), "mirrored"),
    ("another camera", every(lambda u, v, d: (1.25 * (u - 80) + 80, 1.25 * (v - 60) + 60, d)), "another camera"),
    ("labels of frames twice as large", every(lambda u, v, d: (2 * u, 2 * v, d)), "twice as large"),
    ("held-out frames in the training set", None, "are in the training set"),
    ("a tiny data set", lambda rows: rows[:60], "know them by heart"),
]


def run(dtrain, arguments, folder):
    shutil.rmtree(folder, ignore_errors=True)
    process = subprocess.run(
        [dtrain, "train", *arguments, "--log-every", "1", "--run-dir", str(folder)], capture_output=True, text=True, timeout=3000
    )
    lines = [line for line in (process.stdout + process.stderr).splitlines() if line.startswith(("warning: ", "note: amount", "dtrain: step"))]
    # A machine that ranks share is no mistake of the training.
    lines = [line for line in lines if "take turns" not in line]
    metrics = folder / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return lines, [(row["step"], row["joint_error_mm"]) for row in rows if "joint_error_mm" in row]


def data_set(dtrain, folder):
    arguments = ["synth", str(folder), "--frames", "400", "--test-frames", "100", "--image-size", "160x120"]
    subprocess.run([dtrain, *arguments], check=True, capture_output=True)


def rows_of(path):
    fields = [line.split() for line in path.read_text().splitlines() if line.strip()]
    return [(row[0], [float(value) for value in row[1:]]) for row in fields]


def spoil(source, folder, change):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    path = folder / "Training" / "labels.txt"
    rows = rows_of(path)
    if change:
        rows = change(rows)
    else:
        # Test frames among the training frames.
        target = folder / "Training" / "Depth" / "copied"
        target.mkdir()
        for number, (name, label) in enumerate(rows_of(next((folder / "Testing").glob("*.txt")))[:30]):
            shutil.copy(folder / "Testing" / "Depth" / name, target / f"{number}.png")
            rows.append((f"copied/{number}.png", label))
    path.write_text("".join(f"{name} {' '.join(f'{value:.7g}' for value in label)}\n" for name, label in rows))


def step_of(line):
    found = re.search(r"step (\d+)", line)
    return f"step {found.group(1)}" if found else "before step 1"


def main(dtrain, docs, seeds):
    docs, seeds = Path(docs), int(seeds)
    scratch = Path(tempfile.mkdtemp(prefix="dtrain-diagnosis-"))
    table, curves, failures = [], [], []
    try:
        (scratch / "network.yaml").write_text(NETWORK)
        for name, arguments, words in MISTAKES:
            arguments = [str(scratch / "network.yaml") if argument == "NETWORK" else argument for argument in arguments]
            steps = [] if "--steps" in arguments else STEPS
            lines, curve = run(dtrain, [*arguments, *steps], scratch / "run")
            table.append((name, "dtrain " + " ".join(arguments).replace(str(scratch) + "/", ""), lines, words))
            curves.append((name, curve))
        healthy_curve = run(dtrain, [*SMALL, *STEPS], scratch / "run")[1]
        data_set(dtrain, scratch / "data")
        for name, change, words in DATA_MISTAKES:
            spoil(scratch / "data", scratch / "spoilt", change)
            lines, _ = run(dtrain, ["--data", str(scratch / "spoilt"), "--hidden", "16", "--batch-size", "20", "--steps", "3"], scratch / "run")
            table.append((name, "`dtrain doctor --data`, and training", lines, words))
        alarms = healthy(dtrain, scratch, seeds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for name, _, lines, words in table:
        if sum(words in line for line in lines) != 1:
            failures.append(f"{name}: '{words}' was said {sum(words in line for line in lines)} times: {lines}")
    draw(curves, healthy_curve, docs / "diagnosis.svg")
    write(docs / "diagnosis.md", table, alarms, seeds)
    for failure in failures:
        print(failure, file=sys.stderr)
    for name, count, lines in alarms:
        print(f"{name}: {count} healthy runs, {len(lines)} false alarms {lines}", file=sys.stderr)
    return 1 if failures or any(lines for _, _, lines in alarms) else 0


def healthy(dtrain, scratch, seeds):
    whole = ["--image-size", "64x48", "--hidden", "64", "--batch-size", "20", "--synthetic-frames", "400", "--synthetic-test-frames", "40"]
    crops = ["--batch-size", "8", "--synthetic-frames", "200", "--synthetic-test-frames", "20"]
    # seed-verbatim is a mistake by itself; dense takes crops from 64 up, ren those it was designed for.
    small = {
        "seed": whole, "shallow": whole, "deepprior": [*crops, "--crop-size", "64"], "ren": [*crops],
        "dense": [*crops, "--crop-size", "64", "--batch-size", "4"], "dtrain-hand": [*crops, "--crop-size", "48"],
    }
    result = []
    for preset, arguments in small.items():
        lines = []
        for seed in range(1, seeds + 1):
            lines += run(dtrain, ["--preset", preset, *arguments, *STEPS, "--seed", str(seed)], scratch / "run")[0]
        result.append((f"{preset}, small", seeds, lines))
    for preset in small:
        arguments = ["--preset", preset, "--synthetic-frames", "2000", "--synthetic-test-frames", "50", "--batch-size", "32", *STEPS]
        result.append((f"{preset}, full size", 1, run(dtrain, arguments, scratch / "run")[0]))
    return result


def draw(curves, healthy_curve, path):
    page.style("diagnosis")
    columns, rows = 4, (len(curves) + 3) // 4
    figure, axes = plt.subplots(rows, columns, figsize=(12, 2.7 * rows), squeeze=False)
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    for axis, (name, curve) in zip(axes.flat, curves):
        axis.plot(*zip(*healthy_curve), color="#1e8449", linewidth=1, label="healthy seed")
        if curve:
            axis.plot(*zip(*curve), color="#c0392b", linewidth=1.6, label="mistake")
        axis.set_yscale("log")
        axis.set_title(name, fontsize=9)
    axes[0][0].legend(fontsize=8, frameon=False)
    axes[0][0].set_ylabel("joint error, mm")
    figure.supxlabel("step", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def write(path, table, alarms, seeds):
    text = [
        "# Mistakes, how they look, and what dtrain says", "",
        "dtrain tells a beginner's mistake once, in one line, with its cause and its cure. Mistakes of the data are told before the first step, and by",
        "[`dtrain doctor`](doctor.md). This page was made by `Scripts/diagnosis.sh`, which commits each mistake, on", f"{page.machine()}.", "",
        "![Joint error of each mistaken training, beside a healthy one](diagnosis.svg)", "", "| mistake | committed by | told at | what dtrain says |",
        "|---|---|---|---|",
    ]
    for name, command, lines, words in table:
        said = next((line for line in lines if words in line), "nothing")
        said = re.sub(r"/\S*(spoilt|run)\b", "DIR", said).replace("|", "\\|")
        command = command if command.startswith("`") else f"`{command}`"
        text.append(f"| {name} | {command} | {step_of(said)} | {said} |")
    text += [
        "", "## False alarms", "",
        f"Each preset trains 50 steps in good health, {seeds} seeds at a small size and one at its own. `seed-verbatim` is left out: it is the question's mistake.", "",
        "| runs | number | false alarms |", "|---|---|---|",
    ]
    text += [f"| {name} | {count} | {len(lines)} |" for name, count, lines in alarms]
    text += [
        "", "## In the code", "",
        "One file a detector, in `Sources/Diagnosis`: `Data/` and `Machine/` for `dtrain doctor`, `Training/` for what is seen while training. Outputs that are 0 or the same for",
        "every frame, and dead units, are seen by `CollapseMonitor` in `Sources/Training`. A learning rate is called too high when the joint error stays above three",
        "times that of the first step, or jumps by a third of itself without getting smaller; too low when it is far below any recipe's and the error has not moved in 40",
        "steps. Waiting for frames and for the exchange is told when it takes 40% and 50% of the time, over two lines of the metrics.", "",
    ]
    path.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
