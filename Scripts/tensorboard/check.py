"""Loads a run's event files as TensorBoard does and compares every point with metrics.jsonl.

Usage: check.py RUN     exits with 1 and says what differs
"""

import json
import math
import struct
import sys

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import plugin_data_pb2


def expected(path):
    """{tag: [(step, value)]} of metrics.jsonl, null as None."""
    points = {}

    def collect(step, fields, group):
        for name, value in fields.items():
            if isinstance(value, dict):
                collect(step, value, name if group == "train" else f"{group}/{name}")
            elif not isinstance(value, str):
                points.setdefault(f"{group}/{name}", []).append((step, value))

    for line in open(f"{path}/metrics.jsonl"):
        fields = json.loads(line)
        collect(fields.pop("step"), fields, "train")
    return points


def main():
    run = sys.argv[1]
    events = event_accumulator.EventAccumulator(
        f"{run}/tensorboard", size_guidance={kind: 0 for kind in event_accumulator.DEFAULT_SIZE_GUIDANCE})
    events.Reload()
    problems = []
    wanted = expected(run)
    tags = events.Tags()
    if set(tags["scalars"]) != set(wanted):
        problems.append(f"tags differ: {sorted(set(tags['scalars']) ^ set(wanted))}")
    count = 0
    for tag in sorted(set(tags["scalars"]) & set(wanted)):
        points = [(event.step, event.value) for event in events.Scalars(tag)]
        if [step for step, _ in points] != [step for step, _ in wanted[tag]]:
            problems.append(f"{tag}: steps {[s for s, _ in points]}, in metrics.jsonl {[s for s, _ in wanted[tag]]}")
            continue
        for (step, value), (_, figure) in zip(points, wanted[tag]):
            count += 1
            good = not math.isfinite(value) if figure is None else math.isclose(value, figure, rel_tol=1e-6, abs_tol=1e-30)
            if not good:
                problems.append(f"{tag} of step {step}: {value}, in metrics.jsonl {figure}")

    texts = {tag: [event.tensor_proto.string_val[0].decode() for event in events.Tensors(tag)] for tag in tags["tensors"]
             if not tag.startswith("_hparams_")}
    if set(texts) != {"settings", "layers"} or any("|---|" not in text for list in texts.values() for text in list):
        problems.append(f"texts: {sorted(texts)}")
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    if not settings["learning-rate"].number_value > 0 or not settings["preset"].string_value:
        problems.append("hparams: no learning-rate or preset")
    validated = [step for step, _ in wanted.get("validation/loss", [])]
    pictures = [(event.step, event.width, event.height, event.encoded_image_string) for event in events.Images("validation/predictions")]
    drawn = [step for step, *_ in pictures]
    if drawn != sorted(set(drawn)) or not set(drawn) <= set(validated) or drawn[-1:] != validated[-1:]:
        problems.append(f"pictures of steps {drawn}, validations of {validated}")
    for step, width, height, png in pictures:
        if png[:8] != b"\x89PNG\r\n\x1a\n" or struct.unpack(">II", png[16:24]) != (width, height):
            problems.append(f"the picture of step {step} is no PNG of {width}x{height}")
    steps = [step for step, _ in wanted.get("train/loss", [])]
    print(f"{run}: {len(tags['scalars'])} tags, {count} points of steps {steps[0]} to {steps[-1]}, {len(settings)} hparams, "
          f"texts {', '.join(sorted(texts))}, {len(pictures)} pictures: " + ("all as in metrics.jsonl" if not problems else f"{len(problems)} problems"))
    for problem in problems[:20]:
        print(f"  {problem}")
    sys.exit(1 if problems else 0)


main()
