"""Times a network in onnxruntime and in dtrain in alternation; prints a line of a table.

speed.py NAME DTRAIN CHECKPOINT MODEL.onnx SAMPLES.safetensors ROUNDS
"""
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

BATCHES = (1, 64)
# Of one measurement in onnxruntime.
SECONDS = 1.0


def of_onnxruntime(model, images, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rates = []
    for batch in BATCHES:
        inputs = {"input": np.resize(images, (batch, *images.shape[1:]))}
        for _ in range(2):
            session.run(None, inputs)
        times, end = [], time.perf_counter() + SECONDS
        while len(times) < 5 or time.perf_counter() < end:
            start = time.perf_counter()
            session.run(None, inputs)
            times.append(time.perf_counter() - start)
        rates.append(batch / statistics.median(times))
    return rates


def of_dtrain(dtrain, checkpoint, threads):
    """Frames a second of the network alone, by batch, and of a frame's way from its depths to its joints."""
    arguments = [dtrain, "bench", "predict", checkpoint, "--batches", ",".join(map(str, BATCHES)), "--threads", str(threads), "--repeats", "20", "--json"]
    parts = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)["parts"]
    return [part["rate"] for part in parts.values()]


def main(name, dtrain, checkpoint, model, samples, rounds):
    threads = len(os.sched_getaffinity(0))
    images = load_file(samples)["input"]
    own, other = [], []
    for _ in range(int(rounds)):
        own.append(of_dtrain(dtrain, checkpoint, threads))
        other.append(of_onnxruntime(model, images, threads))
    one, many, whole = (statistics.median(column) for column in zip(*own))
    other_one, other_many = (statistics.median(column) for column in zip(*other))
    print(
        f"| {name} | {one:.0f} | {other_one:.0f} | {one / other_one:.2f} | {many:.0f} | {other_many:.0f} | {many / other_many:.2f} | {whole:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
