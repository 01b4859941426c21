"""What the peers' programs share: options, made-up frames, timing, and the one JSON line they print."""

import argparse
import json
import os
import resource
import time

import numpy as np

HEIGHT, WIDTH, KERNEL, CHANNELS, HIDDEN, OUTPUTS = 240, 320, 5, 8, 1024, 48
LEARNING_RATE = 1e-4
# Batches that are used in turn, so that no program can keep one in its cache.
BATCHES = 4


def options(description, configure=None):
    """Parses the command line. To be called before the framework is imported: it sets what that reads at its start.

    configure: adds a program's own options to the parser.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of a process")
    parser.add_argument("--batch", type=int, default=100, help="global batch")
    parser.add_argument("--pool", type=int, choices=(2, 4), default=2, help="max pooling; 2: 153,600 inputs of FC1")
    parser.add_argument("--steps", type=int, default=10, help="steps that are timed")
    parser.add_argument("--warmup", type=int, default=3, help="steps before them that are not")
    if configure:
        configure(parser)
    arguments = parser.parse_args()
    for name, least in (("threads", 1), ("batch", 1), ("steps", 1), ("warmup", 0)):
        if getattr(arguments, name) < least:
            parser.error(f"--{name} must be at least {least}")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    return arguments


def flattened(pool):
    """Inputs of FC1."""
    return (HEIGHT // pool) * (WIDTH // pool) * CHANNELS


def batches(count, seed=1, raw=False):
    """BATCHES pairs of frames (count, 240, 320, 1) and labels (count, 48), float32.

    Frames are noise with a hand-sized patch that is nearer than the background, in [-1, 1], or in mm when raw; labels are
    about as large as ICVL's. A step's time does not depend on the values.
    """
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(BATCHES):
        frames = np.ones((count, HEIGHT, WIDTH, 1), dtype=np.float32)
        frames[:, 70:170, 110:210] = random.uniform(-1, 0.5, (count, 100, 100, 1)).astype(np.float32)
        if raw:
            frames = np.where(frames == 1, np.float32(32001), 340 + 50 * frames).astype(np.float32)
        labels = random.normal((158, 111, 342) * 16, (36, 25, 50) * 16, (count, OUTPUTS)).astype(np.float32)
        pairs.append((frames, labels))
    return pairs


def timed(step, arguments):
    """Calls step(k), which trains once and returns the loss as a number; returns (times of the timed steps, all losses)."""
    times, losses = [], []
    for k in range(arguments.warmup + arguments.steps):
        start = time.perf_counter()
        losses.append(float(step(k)))
        if k >= arguments.warmup:
            times.append(time.perf_counter() - start)
    return times, losses


def peak_memory_mb():
    """The most resident memory this process had, MiB (Linux counts ru_maxrss in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(program, version, settings, arguments, times, losses, memory=None, **more):
    """Prints the JSON line."""
    print(
        json.dumps(
            {
                "program": program,
                "version": version,
                "settings": settings,
                "threads": arguments.threads,
                "batch": arguments.batch,
                "pool": arguments.pool,
                "median_s": float(np.median(times)),
                "p90_s": float(np.quantile(times, 0.9)),
                "times": [round(t, 5) for t in times],
                "peak_memory_mb": round(peak_memory_mb() if memory is None else memory, 1),
                "losses": losses,
                **more,
            }
        ),
        flush=True,
    )
