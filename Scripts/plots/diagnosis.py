"""Commits each mistake and trains in good health; writes Docs/diagnosis.md and Docs/diagnosis.svg.

diagnosis.py DTRAIN DOCS SEEDS RESULTS [--keep]

RESULTS: where each run's result is written when it is done; with --keep those that are there and good are not run again.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import page
import png16

SMALL = ["--image-size", "64x48", "--hidden", "64", "--batch-size", "20", "--synthetic-frames", "400", "--synthetic-test-frames", "40"]
HAND = ["--preset", "dtrain-hand", "--crop-size", "48", "--batch-size", "16", "--synthetic-frames", "400", "--synthetic-test-frames", "40"]
CROPS = ["--batch-size", "16", "--synthetic-frames", "400", "--synthetic-test-frames", "40"]

# Network files with a mistake each: weights of standard deviation 1 where hundreds of inputs meet; a hidden layer that starts far below 0;
# scores of a soft-argmax that start large.
NETWORKS = {
    "large.yaml": """input: {height: 48, width: 48}
layers:
  - convolution: {channels: 8, kernel: 5, stride: 2, initial: normal:1}
  - activation: relu
  - max-pooling: 2
  - dense: {units: 64, initial: normal:1}
  - activation: relu
  - dense: {units: 48, initial: normal:1}
""",
    "dead.yaml": """input: {height: 48, width: 48}
layers:
  - convolution: {channels: 8, kernel: 5, stride: 2}
  - activation: relu
  - max-pooling: 2
  - dense: {units: 64}
  - activation: {function: relu, name: first}
  - dense: {units: 64, initial-bias: -50}
  - activation: {function: relu, name: second}
  - dense: {units: 48, initial: small}
""",
    "saturated.yaml": """input: {height: 48, width: 48}
layers:
  - convolution: {channels: 16, kernel: 5, stride: 2}
  - activation: relu
  - max-pooling: 2
  - branches:
      name: maps
      branches:
        - - convolution: {name: scores, channels: 16, kernel: 1, initial: normal:100}
        - - convolution: {name: offsets, channels: 48, kernel: 3, initial: small}
  - soft-argmax: {joints: 16}
loss: {kind: smooth-l1, sigma: 10}
""",
    "tiny.yaml": """input: {height: 24, width: 24}
layers:
  - dense: {units: 48, initial: small}
""",
}


class Mistake:
    """words: part of the line that must be said, once, at step `by` or before; a curve is drawn where the picture shows something."""

    def __init__(self, name, arguments, words, ranks=1, fault=None, by=50, curve=True, spoils=None, shows=None, link=None):
        self.name, self.arguments, self.words, self.ranks, self.fault, self.by = name, arguments, words, ranks, fault, by
        self.curve, self.spoils = curve, spoils
        # Bandwidth between two nodes of Cluster/local that it is committed on; None: on this machine.
        self.link = link
        # What the run is known by, where it is another than what it is committed by.
        self.shows = shows

    @property
    def command(self):
        if self.shows:
            return self.shows
        command = "dtrain " + " ".join(self.arguments)
        if self.link:
            return f"`Cluster/local/up 2 {self.link}; Cluster/local/run {command}`"
        if self.ranks > 1:
            command = f"mpirun -np {self.ranks} {command}"
        return f"`{f'DTRAIN_FAULT={self.fault} ' if self.fault else ''}{command}`"


MISTAKES = [
    Mistake("output ReLU, the question's program", ["--preset", "seed-verbatim", *SMALL, "--batch-size", "50", "--learning-rate", "1e-3"], "of the outputs are exactly 0"),
    Mistake("initial values too large", ["--network", "large.yaml", *CROPS], "the initial values are too large"),
    Mistake("input not scaled", [*SMALL, "--input", "raw"], "the input is not scaled"),
    Mistake("learning rate too high", [*SMALL, "--learning-rate", "0.3"], "the learning rate is too high"),
    Mistake("learning rate too high, crops", [*HAND, "--learning-rate", "3"], "the learning rate is too high"),
    Mistake("learning rate too low", [*SMALL, "--learning-rate", "1e-9"], "is too low"),
    Mistake("learning rate too low, crops", [*HAND, "--learning-rate", "1e-9"], "is too low"),
    Mistake("a dead hidden layer", ["--network", "dead.yaml", *CROPS], "of the units of layer second are 0"),
    Mistake("saturated soft-argmax", ["--network", "saturated.yaml", *CROPS], "is saturated"),
    # What is known by heart takes more steps to see.
    Mistake(
        "overfitting", [*SMALL, "--synthetic-frames", "40", "--learning-rate", "1e-3", "--validate-every", "10", "--steps", "400"],
        "learns its frames by heart", by=400,
    ),
    Mistake("validation with the labels' centres", [*HAND, "--centre", "labels", "--steps", "3"], "crops are put where the true joints are", curve=False),
    Mistake("more threads than processors", [*SMALL, "--threads", "64", "--steps", "3"], "64 threads on", curve=False),
    Mistake("one rank slow", SMALL, "rank 1 on", ranks=2, fault="lag:rank=1:step=12:times=100", curve=False),
    Mistake(
        "exchange dominating", [*SMALL, "--batch-size", "8", "--exchange", "allreduce"], "of the time is waiting for --exchange allreduce",
        link="20mbit", curve=False,
    ),
]


# Mistakes of the data: what becomes of a label line (path, 48 numbers).
def every(change):
    def lines(rows, folder):
        result = []
        for path, label in rows:
            values = [change(label[3 * j], label[3 * j + 1], label[3 * j + 2]) for j in range(16)]
            result.append((path, [value for triple in values for value in triple]))
        return result

    return lines


def constant(rows, folder):
    return [(path, rows[0][1]) for path, _ in rows]


def shuffled(rows, folder):
    return [(path, rows[(37 * number + 211) % len(rows)][1]) for number, (path, _) in enumerate(rows)]


def one_pose(rows, folder):
    """The first hand, moved sideways by some pixels."""
    width, height, picture = png16.read(folder / "Training" / "Depth" / rows[0][0])
    background, result = picture[0][0], []
    for number, (path, _) in enumerate(rows):
        shift = number % 21 - 10
        moved = [[row[column - shift] if 0 <= column - shift < width else background for column in range(width)] for row in picture]
        png16.write(folder / "Training" / "Depth" / path, width, height, moved)
        result.append((path, [value + (shift if place % 3 == 0 else 0) for place, value in enumerate(rows[0][1])]))
    return result


def leak(rows, folder):
    """Test frames among the training frames."""
    target = folder / "Training" / "Depth" / "copied"
    target.mkdir()
    copied = []
    for number, (name, label) in enumerate(rows_of(next((folder / "Testing").glob("*.txt")))[:30]):
        shutil.copy(folder / "Testing" / "Depth" / name, target / f"{number}.png")
        copied.append((f"copied/{number}.png", label))
    # Before the others: the last tenth is held out.
    return copied + rows


def data(name, change, words):
    arguments = ["--data", "spoilt", "--hidden", "16", "--batch-size", "20", "--steps", "3"]
    return Mistake(name, arguments, words, by=0, curve=False, spoils=change, shows="a data set, `dtrain doctor --data` and training")


MISTAKES += [
    data("labels constant", constant, "are the same"),
    data("labels shuffled against frames", shuffled, "are shuffled"),
    data("labels in other units: d in metres", every(lambda u, v, d: (u, v, d / 1000)), "d are metres"),
    data("labels in other units: x, y in mm", every(lambda u, v, d: ((u - 80) * d / 120.71, (v - 60) * d / 120.71, d)), "x, y, z in mm"),
    data("labels mirrored", every(lambda u, v, d: (159 - u, v, d)), "mirrored"),
    data("labels of another camera", every(lambda u, v, d: (1.25 * (u - 80) + 80, 1.25 * (v - 60) + 60, d)), "another camera"),
    data("labels of frames twice as large", every(lambda u, v, d: (2 * u, 2 * v, d)), "twice as large"),
    data("test frames in the training set", leak, "are in the training set"),
    data("a tiny data set", lambda rows, folder: rows[:60], "know them by heart"),
    data("a single pose", one_pose, "it is one pose"),
    Mistake(
        "loader starving", ["--data", "large", "--network", "tiny.yaml", "--batch-size", "50", "--cache", "0"],
        "of the time is waiting for frames", curve=False,
    ),
]

SMALL_RUNS = ["--batch-size", "8", "--synthetic-frames", "200", "--synthetic-test-frames", "20"]
# seed-verbatim is a mistake by itself; dense takes crops from 64 up, ren those it was designed for.
HEALTHY = {
    "seed": SMALL, "shallow": SMALL, "deepprior": [*SMALL_RUNS, "--crop-size", "64"], "ren": SMALL_RUNS,
    "dense": [*SMALL_RUNS, "--crop-size", "64", "--batch-size", "4"], "dtrain-hand": [*SMALL_RUNS, "--crop-size", "48"],
}
FULL = ["--synthetic-frames", "2000", "--synthetic-test-frames", "50", "--batch-size", "32"]


def run(dtrain, arguments, folder, scratch, ranks=1, fault=None, link=None):
    """What was said that warns, and the joint error by step."""
    shutil.rmtree(folder, ignore_errors=True)
    arguments = [str(scratch / argument) if argument in NETWORKS or argument in ("spoilt", "large") else argument for argument in arguments]
    if "--steps" not in arguments:
        arguments = [*arguments, "--steps", "50"]
    command = [dtrain, "train", *arguments, "--log-every", "1", "--run-dir", str(folder)]
    environment = dict(os.environ)
    if ranks > 1:
        command = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none", *command]
        if os.geteuid() == 0:
            environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if fault:
        environment["DTRAIN_FAULT"] = fault
    if link:
        environment["DTRAIN_CLUSTER"] = "diagnosis"
        cluster = Path(__file__).resolve().parents[2] / "Cluster" / "local"
        subprocess.run([cluster / "up", "2", link], check=True, env=environment, stdout=sys.stderr)
        command = [cluster / "run", *command]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=3000, env=environment)
    finally:
        if link:
            subprocess.run([cluster / "down"], check=True, env=environment)
    lines = [line for line in (process.stdout + process.stderr).splitlines() if line.startswith(("warning: ", "note: amount", "dtrain: step"))]
    lines = [line for line in lines if "DTRAIN_FAULT" not in line]
    metrics = folder / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
    if not rows:
        raise SystemExit(f"{' '.join(command)} trained nothing: {process.stderr}")
    shutil.rmtree(folder, ignore_errors=True)
    return lines, [(row["step"], row["joint_error_mm"]) for row in rows if "joint_error_mm" in row]


def rows_of(path):
    fields = [line.split() for line in path.read_text().splitlines() if line.strip()]
    return [(row[0], [float(value) for value in row[1:]]) for row in fields]


def spoil(source, folder, change):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    path = folder / "Training" / "labels.txt"
    rows = change(rows_of(path), folder)
    path.write_text("".join(f"{name} {' '.join(f'{value:.7g}' for value in label)}\n" for name, label in rows))


def step_of(line):
    found = re.search(r"step (\d+):", line)
    return int(found.group(1)) if found else 0


def problem(mistake, lines):
    """Why what was said of a mistake is not as it should be; nil: it is."""
    said = [line for line in lines if mistake.words in line]
    if len(said) != 1:
        return f"'{mistake.words}' was said {len(said)} times: {lines}"
    if step_of(said[0]) > mistake.by:
        return f"told at step {step_of(said[0])}, not by {mistake.by}"
    if "; hint: " not in said[0]:
        return f"no cure: {said[0]}"
    return None


def alarms(lines):
    """A machine that others use is no mistake of the training."""
    return [line for line in lines if "take turns" not in line]


class Results:
    def __init__(self, path, keep):
        self.path = path
        self.entries = json.loads(path.read_text()) if keep and path.exists() else {}

    def get(self, name, is_good, make):
        if name in self.entries and is_good(*self.entries[name]):
            return self.entries[name]
        self.entries[name] = make()
        self.path.write_text(json.dumps(self.entries))
        print(f"{name}: {'as it should be' if is_good(*self.entries[name]) else 'NOT as it should be'}: {self.entries[name][0]}", file=sys.stderr, flush=True)
        return self.entries[name]


def main(dtrain, docs, seeds, results, keep=None):
    docs, seeds, results = Path(docs), int(seeds), Results(Path(results), keep == "--keep")
    scratch = Path(tempfile.mkdtemp(prefix="dtrain-diagnosis-"))
    table, false_alarms = [], []
    try:
        for name, text in NETWORKS.items():
            (scratch / name).write_text(text)
        # Frames of 640x480 take longer to decode than a small network takes to learn from them.
        for name, size, frames in (("data", "160x120", "400"), ("large", "640x480", "120")):
            command = [dtrain, "synth", str(scratch / name), "--frames", frames, "--test-frames", "100", "--image-size", size]
            subprocess.run(command, check=True, capture_output=True)
        healthy = results.get("healthy curve", lambda *_: True, lambda: run(dtrain, SMALL, scratch / "run", scratch))[1]
        hand = results.get("healthy curve, crops", lambda *_: True, lambda: run(dtrain, HAND, scratch / "run", scratch))[1]
        for mistake in MISTAKES:

            def commit():
                if mistake.spoils:
                    spoil(scratch / "data", scratch / "spoilt", mistake.spoils)
                return run(dtrain, mistake.arguments, scratch / "run", scratch, mistake.ranks, mistake.fault, mistake.link)

            lines, curve = results.get(mistake.name, lambda lines, _: problem(mistake, lines) is None, commit)
            table.append((mistake, lines, curve))
        for size, extra in (("small", None), ("full size", FULL)):
            for preset, arguments in HEALTHY.items():
                numbers = range(1, (seeds if size == "small" else 1) + 1)
                lines = []
                for seed in numbers:
                    settings = ["--preset", preset, *(extra or arguments), "--seed", str(seed)]
                    lines += alarms(
                        results.get(
                            f"{preset}, {size}, seed {seed}", lambda lines, _: not alarms(lines),
                            lambda: run(dtrain, settings, scratch / "run", scratch),
                        )[0]
                    )
                false_alarms.append((f"{preset}, {size}", len(numbers), lines))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    draw([(mistake.name, curve, hand if mistake.arguments[0] != "--image-size" and "verbatim" not in mistake.arguments[1] else healthy) for mistake, _, curve in table if mistake.curve], docs / "diagnosis.svg")
    write(docs / "diagnosis.md", table, false_alarms, seeds)
    failures = [f"{mistake.name}: {problem(mistake, lines)}" for mistake, lines, _ in table if problem(mistake, lines)]
    failures += [f"{name}: {len(lines)} false alarms in {count} healthy runs: {lines}" for name, count, lines in false_alarms if lines]
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def draw(curves, path):
    """A small picture a mistake: joint error by step, both with the scale of a logarithm for the error, beside a healthy run."""
    import math
    from xml.sax.saxutils import escape

    columns, width, height, left, top = 4, 240, 170, 48, 24
    rows = (len(curves) + columns - 1) // columns
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * width} {rows * height + 22}" font-family="sans-serif" font-size="10">',
        f'<rect width="{columns * width}" height="{rows * height + 22}" fill="white"/>',
    ]
    for number, (name, curve, healthy) in enumerate(curves):
        x0, y0 = number % columns * width + left, number // columns * height + top
        inner, tall = width - left - 12, height - top - 26
        last = max(step for step, _ in curve)
        healthy = [point for point in healthy if point[0] <= last]
        errors = [error for _, error in curve + healthy if math.isfinite(error) and error > 0]
        low, high = math.log10(min(errors)) - 0.05, math.log10(max(errors)) + 0.05

        def place(step, error):
            return f"{x0 + inner * (step - 1) / max(1, last - 1):.1f},{y0 + tall * (high - math.log10(error)) / (high - low):.1f}"

        parts.append(f'<text x="{x0}" y="{y0 - 8}" font-weight="bold" fill="#222">{escape(name)}</text>')
        parts.append(f'<path d="M{x0},{y0}V{y0 + tall}H{x0 + inner}" fill="none" stroke="#888"/>')
        for value in (10**low, 10 ** ((low + high) / 2), 10**high):
            y = y0 + tall * (high - math.log10(value)) / (high - low)
            parts.append(f'<text x="{x0 - 4}" y="{y + 3:.1f}" text-anchor="end" fill="#555">{value:.2g}</text>')
        parts.append(f'<text x="{x0}" y="{y0 + tall + 13}" fill="#555">1</text>')
        parts.append(f'<text x="{x0 + inner}" y="{y0 + tall + 13}" text-anchor="end" fill="#555">step {last}</text>')
        for points, colour in ((healthy, "#1e8449"), (curve, "#c0392b")):
            drawn = " ".join(place(step, error) for step, error in points if math.isfinite(error) and error > 0)
            parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    y = rows * height + 12
    parts.append(
        f'<text x="{left}" y="{y}" fill="#222">joint error, mm: <tspan fill="#c0392b">with the mistake</tspan>, <tspan fill="#1e8449">a healthy run</tspan></text>'
    )
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def short(line):
    line = re.sub(r"^(warning|dtrain|note): ", "", line)
    line = re.sub(r"/\S*/(spoilt|large|run|[a-z]+\.yaml)\b", r"\1", line)
    return line.replace("|", "\\|")


def write(path, table, false_alarms, seeds):
    text = [
        "# Mistakes, how they look, and what dtrain says", "",
        "dtrain tells a beginner's mistake once, in one line, with its cause and its cure. Mistakes of the data are told before the first step, and by",
        "[`dtrain doctor`](doctor.md). `Scripts/diagnosis.sh` commits each mistake, trains in good health, and writes this page. It was last run on",
        f"{page.machine()}.", "", "![Joint error of each mistaken training, beside a healthy one](diagnosis.svg)", "",
        "The picture has the mistakes that change the course of the error. The others are told by what they are, not by how the error falls: a network",
        "learns wrong labels too.", "",
    ]
    for mistake, lines, _ in table:
        said = next((line for line in lines if mistake.words in line), None)
        message, _, cure = short(said or "nothing").partition("; hint: ")
        text += [f"## {mistake.name[0].upper()}{mistake.name[1:]}", "", f"Committed by {mistake.command.replace('  ', ' ')}.", ""]
        text += [f"> {message}", "", f"Cure: {cure}.", ""]
    text += ["## All mistakes", "", "| mistake | told at step | lines | also said |", "|---|---|---|---|"]
    for mistake, lines, _ in table:
        said = [line for line in lines if mistake.words in line]
        step = step_of(said[0]) if said else None
        others = "; ".join(short(line).partition(";")[0] for line in alarms(lines) if line not in said) if mistake.by else ""
        where = "not" if step is None else "before 1" if step == 0 else str(step)
        text.append(f"| {mistake.name} | {where} | {len(said)} | {others} |")
    text += [
        "", "In the order of recording: dtrain shuffles by itself, so training needs no line; `dtrain doctor --data` notes it, as it matters for how frames",
        "are held out. A network that knows its frames by heart shows it in later validations, so overfitting may take more than 50 steps.", "",
        "## False alarms", "",
        f"Each preset trains 50 steps in good health, {seeds} seeds at a small size and one at its own. `seed-verbatim` is left out: it is the question's mistake.",
        "Lines about ranks or threads that take turns are not counted: they are about what else runs on the machine.", "",
        "| runs | number | false alarms |", "|---|---|---|",
    ]
    text += [f"| {name} | {count} | {len(lines)} |" for name, count, lines in false_alarms]
    text += [
        "", "## In the code", "",
        "One file a detector, in `Sources/Diagnosis`: `Data/` and `Machine/` for `dtrain doctor`, `Training/` for what is seen while training, each a row in",
        "`TrainingDiagnosis`. Outputs that are 0 or the same for every frame, and dead units of the window stem, are seen by `CollapseMonitor` in `Sources/Training`.",
        "", "| detector | says its line when |", "|---|---|",
        "| scale | at step 1 the outputs are more than 30 times as large as the labels |",
        "| rate too high | the joint error stays above three times that of the first step, jumps to eight times, or by a third of itself without getting smaller |",
        "| rate too low | the rate is far below any recipe's, and the error has not moved in 40 steps |",
        "| dead layer | 90% of the units behind a ReLU are 0 for every frame of the batch, at two looks in a row (steps 1, 10, 20, ...); or all are, at one |",
        "| saturation | in half of a soft-argmax's maps one position has 99% of the weight, at two looks in a row, in the first 1,000 steps |",
        "| slow rank | the same rank's own work takes 1.5 times the median of the others, three windows of ten steps in a row, and 20 ms a step more |",
        "| starving, exchange | 40% of the time is waiting for frames, 50% for the exchange, two windows in a row |",
        "| turns | 25% of the time the main thread could run but has no processor, and the process has less than 75% of its processors' time, two windows of more than 3 s in a row |",
        "| overfitting | the held-out error grows, or stands still, while that of training falls |", "",
        "Windows of ten steps: each rank tells where its time went in the small all-reduce that every step has, in every tenth step. Layers are looked into at",
        "steps 1, 10, 20 and so on. With several ranks that takes one more small all-reduce.", "",
    ]
    path.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
