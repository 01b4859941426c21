#!/usr/bin/env python3
"""Golden values of a small network, by TensorFlow, for Tests/NetworksTests.

The network of the question in small: conv 5x5 (SAME) + bias, ReLU, max pool, flatten (row, column,
channel), FC + bias, ReLU, FC + bias, output head; mean squared error over batch and outputs; Adam in
TensorFlow 1's form (tf.compat.v1.train.AdamOptimizer). Everything is computed in float64. The same
program runs once more in float32, and how far its results are from those in float64 is written
beside them: a guide to tolerances, not a golden value.

Initial values need no file. Element i (row-major) of tensor number n is
    factor * (((i * 2654435761 + n * 40503 + 12345) mod 2^32) / 2^32 - 0.5) + offset
with factor and offset of each tensor in the output.

Usage: golden.py [OUTPUT.json]      default: Tests/NetworksTests/Golden/network.json
"""

import json
import os
import platform
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# One reduction order on every machine, as far as TensorFlow allows.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

tf.compat.v1.disable_eager_execution()

BATCH, HEIGHT, WIDTH, KERNEL, CHANNELS, HIDDEN, OUTPUTS = 5, 12, 16, 5, 8, 32, 48
STEPS = 10
LEARNING_RATE = 1e-3
SAMPLES = 16

PARAMETERS = ["conv1.weight", "conv1.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
TENSORS = PARAMETERS + ["input", "labels"]
IN_FULL = {"conv1.weight", "conv1.bias", "fc1.bias", "fc2.bias"}


def shapes(pool):
    flat = (HEIGHT // pool) * (WIDTH // pool) * CHANNELS
    return {
        "conv1.weight": [KERNEL, KERNEL, 1, CHANNELS],  # (row, column, in, out)
        "conv1.bias": [CHANNELS],
        "fc1.weight": [flat, HIDDEN],  # (in, out)
        "fc1.bias": [HIDDEN],
        "fc2.weight": [HIDDEN, OUTPUTS],  # (in, out)
        "fc2.bias": [OUTPUTS],
        "input": [BATCH, HEIGHT, WIDTH, 1],
        "labels": [BATCH, OUTPUTS],
    }


def scales(pool, head):
    """(factor, offset) of each tensor; few binary digits, so that scaling is exact in float64.

    Weights have about He's standard deviation (factor / sqrt(12) for a uniform value). The last
    bias is moved up for the ReLU head, so that most outputs live, and the last layer is made small
    for the exp head, so that none overflows. The input's factor was chosen among a few for the
    widest `smallest_margin`.
    """
    return {
        "conv1.weight": (1.0, 0.0),
        "conv1.bias": (0.25, 0.0),
        "fc1.weight": (0.25 if pool == 2 else 0.5, 0.0),
        "fc1.bias": (0.25, 0.0),
        "fc2.weight": (0.25 if head == "exp" else 1.0, 0.0),
        "fc2.bias": (0.25, 0.5 if head == "relu" else 0.0),
        "input": (3.0, 0.0),
        "labels": (2.0, 2.0),  # 1 to 3
    }


def values(number, shape, factor, offset):
    index = np.arange(int(np.prod(shape)), dtype=np.uint64)
    integer = (index * np.uint64(2654435761) + np.uint64(number * 40503 + 12345)) % np.uint64(2**32)
    return ((integer.astype(np.float64) / 2.0**32 - 0.5) * factor + offset).reshape(shape)


def sample_indices(count):
    """16 indices spread over the tensor, its first and last element among them."""
    return [(k * (count - 1)) // (SAMPLES - 1) for k in range(SAMPLES)]


def summary(name, array):
    flat = np.asarray(array, dtype=np.float64).reshape(-1)
    if name in IN_FULL:
        return {"values": flat.tolist()}
    indices = sample_indices(flat.size)
    return {
        "sum": float(flat.sum()),
        "sum_of_squares": float((flat * flat).sum()),
        "indices": indices,
        "samples": flat[indices].tolist(),
    }


def run(pool, head, kind):
    """Losses before each step, outputs and gradients at step 0, weights after the last step, margins."""
    graph = tf.Graph()
    with graph.as_default():
        initial = {
            name: values(number, shapes(pool)[name], *scales(pool, head)[name]).astype(kind)
            for number, name in enumerate(TENSORS)
        }
        x = tf.compat.v1.placeholder(kind, shapes(pool)["input"])
        labels = tf.compat.v1.placeholder(kind, shapes(pool)["labels"])
        w = {
            name: tf.compat.v1.get_variable(name.replace(".", "_"), initializer=initial[name], use_resource=True)
            for name in PARAMETERS
        }
        convolution = tf.nn.conv2d(x, w["conv1.weight"], strides=1, padding="SAME") + w["conv1.bias"]
        pooled = tf.nn.max_pool2d(tf.nn.relu(convolution), ksize=pool, strides=pool, padding="SAME")
        flat = tf.reshape(pooled, [BATCH, -1])
        hidden = flat @ w["fc1.weight"] + w["fc1.bias"]
        linear = tf.nn.relu(hidden) @ w["fc2.weight"] + w["fc2.bias"]
        outputs = {"linear": lambda t: t, "relu": tf.nn.relu, "exp": tf.exp}[head](linear)
        loss = tf.reduce_mean(tf.square(outputs - labels))
        gradients = tf.compat.v1.gradients(loss, [w[name] for name in PARAMETERS])
        adam = tf.compat.v1.train.AdamOptimizer(LEARNING_RATE, beta1=0.9, beta2=0.999, epsilon=1e-8)
        update = adam.apply_gradients(zip(gradients, [w[name] for name in PARAMETERS]))

        feed = {x: initial["input"], labels: initial["labels"]}
        losses, kink = [], np.inf
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            first_outputs, first_gradients = session.run([outputs, gradients], feed)
            for _ in range(STEPS):
                # The values of this step are read in a run of their own, before the update.
                loss_now, a, b, c = session.run([loss, convolution, hidden, linear], feed)
                losses.append(float(loss_now))
                kink = min(kink, smallest_margin(a, b, c if head == "relu" else None, pool))
                session.run(update, feed)
            final = session.run([w[name] for name in PARAMETERS])
    return {
        "losses": losses,
        "outputs": np.asarray(first_outputs, dtype=np.float64),
        "gradients": dict(zip(PARAMETERS, first_gradients)),
        "weights": dict(zip(PARAMETERS, final)),
        "kink": float(kink),
    }


def smallest_margin(convolution, hidden, linear, pool):
    """How near any ReLU comes to its kink, or a pool window's winner to its runner-up.

    Rounding below this cannot switch a unit or a winner, so a float32 implementation takes the
    same branches as this one.
    """
    rows, columns = HEIGHT // pool, WIDTH // pool
    windows = convolution.reshape(BATCH, rows, pool, columns, pool, CHANNELS)
    windows = np.sort(windows.transpose(0, 1, 3, 5, 2, 4).reshape(-1, pool * pool), axis=1)
    alive = windows[:, -1] > 0
    margins = [
        np.abs(windows[:, -1]).min(),
        (windows[alive, -1] - windows[alive, -2]).min(),
        np.abs(hidden).min(),
    ]
    if linear is not None:
        margins.append(np.abs(linear).min())
    return min(margins)


def largest_difference(a, b):
    return float(np.abs(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)).max())


def case(pool, head):
    double, single = run(pool, head, np.float64), run(pool, head, np.float32)
    size = shapes(pool)
    scale = scales(pool, head)
    return {
        "name": f"pool {pool}, {head}",
        "pool": pool,
        "head": head,
        "tensors": [
            {"number": n, "name": name, "shape": size[name], "factor": scale[name][0], "offset": scale[name][1]}
            for n, name in enumerate(TENSORS)
        ],
        "losses": double["losses"],
        "outputs": double["outputs"].reshape(-1).tolist(),
        "gradients": {name: summary(name, double["gradients"][name]) for name in PARAMETERS},
        "weights": {name: summary(name, double["weights"][name]) for name in PARAMETERS},
        "smallest_margin": double["kink"],
        "share_of_zero_outputs": float((double["outputs"] == 0).mean()),
        "tensorflow_float32_largest_difference": {
            "losses_relative": max(abs(a / b - 1) for a, b in zip(single["losses"], double["losses"])),
            "outputs": largest_difference(single["outputs"], double["outputs"]),
            "gradients": {n: largest_difference(single["gradients"][n], double["gradients"][n]) for n in PARAMETERS},
            "weights": {n: largest_difference(single["weights"][n], double["weights"][n]) for n in PARAMETERS},
        },
    }


def main():
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(package, "Tests/NetworksTests/Golden/network.json")
    document = {
        "made_by": "Scripts/reference/golden.py",
        "tools": {
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "precision": "float64 throughout",
        "initial_values": "factor * (((i * 2654435761 + number * 40503 + 12345) mod 2^32) / 2^32 - 0.5) + offset, "
        "i the row-major index",
        "batch": BATCH,
        "height": HEIGHT,
        "width": WIDTH,
        "kernel": KERNEL,
        "channels": CHANNELS,
        "hidden": HIDDEN,
        "outputs": OUTPUTS,
        "steps": STEPS,
        "adam": {
            "form": "TensorFlow 1: lr_t = lr * sqrt(1 - b2^t) / (1 - b1^t); w -= lr_t * m / (sqrt(v) + eps)",
            "learning_rate": LEARNING_RATE,
            "beta1": 0.9,
            "beta2": 0.999,
            "epsilon": 1e-8,
        },
        "cases": [case(pool, head) for pool in (2, 4) for head in ("linear", "relu", "exp")],
    }
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.write("\n")
    for entry in document["cases"]:
        print(
            f"{entry['name']:15s} loss {entry['losses'][0]:.6f} -> {entry['losses'][-1]:.6f}  "
            f"zero outputs {entry['share_of_zero_outputs']:.3f}  smallest margin {entry['smallest_margin']:.2e}  "
            f"float32 weights differ by {max(entry['tensorflow_float32_largest_difference']['weights'].values()):.1e}"
        )
    print(path)


if __name__ == "__main__":
    main()
