#!/usr/bin/env python3
"""Golden values of whole networks, by PyTorch in float64, for Tests/NetworksTests.

The presets at small sizes and Docs/examples/tiny.yaml (preset_networks.py) learn one batch for ten steps, each by its preset's
optimiser and schedule. preset_layers.py has the formula of the tensors.

Usage: presets.py [OUTPUT.json]      default: Tests/NetworksTests/Golden/presets.json
"""

import json
import math
import os
import sys

import torch
import torch.nn.functional as F

from preset_layers import OUTPUTS, POSITIONS, SEED, Net, tensor
from preset_networks import deep_prior, dense, hand, ren, tiny

STEPS = 10
STEPS_PER_EPOCH = 4.0
WHOLE = 24  # parameters of at most so many values are written in full
SAMPLES = 8


# Losses, optimisers and schedules


def loss_sum(kind, value, x):
    if kind == "mse":
        return (x * x).sum()
    if kind == "smooth-l1":  # with Faster R-CNN's sigma
        return F.smooth_l1_loss(x, torch.zeros_like(x), beta=1 / value**2, reduction="sum")
    return F.huber_loss(x, torch.zeros_like(x), delta=value, reduction="sum")


class TensorFlowAdam:
    """Adam as TensorFlow 1 has it: epsilon beside sqrt(v), the correction in the rate. Normalisations have their own rate."""

    def __init__(self, net, normalization_multiplier=1.0):
        trained = [name for name, p in net.parameters.items() if p.requires_grad]
        self.parameters = [net.parameters[name] for name in trained]
        self.multipliers = [normalization_multiplier if net.roles[name] == "normalization" else 1.0 for name in trained]
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]
        self.step_number = 0

    def step(self, rate):
        self.step_number += 1
        t = self.step_number
        rate = rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        with torch.no_grad():
            for p, (m, v), multiplier in zip(self.parameters, self.moments, self.multipliers):
                m.mul_(0.9).add_(0.1 * p.grad)
                v.mul_(0.999).add_(0.001 * p.grad * p.grad)
                p.sub_(rate * multiplier * m / (v.sqrt() + 1e-8))


class TorchOptimizer:
    """PyTorch's, decay on weights alone, biases with their own rate."""

    def __init__(self, make, net, decay, bias_multiplier=1.0):
        roles = {"weight": (decay, 1.0), "bias": (0.0, bias_multiplier), "normalization": (0.0, 1.0)}
        groups = []
        self.multipliers = []
        for role, (own_decay, multiplier) in roles.items():
            members = [p for name, p in net.parameters.items() if net.roles[name] == role]
            if members:
                groups.append({"params": members, "weight_decay": own_decay, "lr": 1.0})
                self.multipliers.append(multiplier)
        self.optimizer = make(groups)

    def step(self, rate):
        for group, multiplier in zip(self.optimizer.param_groups, self.multipliers):
            group["lr"] = rate * multiplier
        self.optimizer.step()


def optimizer_of(case, net):
    kind = case["optimizer"]["kind"]
    if kind == "adam":
        return TensorFlowAdam(net, case["optimizer"].get("normalization_multiplier", 1.0))
    if kind == "sgd":
        return TorchOptimizer(lambda g: torch.optim.SGD(g, lr=1.0, momentum=0.9), net, 5e-4, 2.0)
    return TorchOptimizer(lambda g: torch.optim.AdamW(g, lr=1.0, eps=1e-8), net, 0.01)


def rate_of(case, step):
    base, text = case["optimizer"]["rate"], case["schedule"]
    if text.startswith("exponential"):  # factor 0.96 an epoch, one epoch of warm-up
        return base * 0.96 ** (step / STEPS_PER_EPOCH) * min(1.0, (step + 1) / STEPS_PER_EPOCH)
    if text == "constant":
        return base
    if text.startswith("steps"):
        return base * 0.1 ** (step // 40000)
    cosine = base * (1 + math.cos(math.pi * step / STEPS)) / 2
    _, _, warmup = text.partition("warmup=")
    return cosine * min(1.0, (step + 1) / int(warmup or 1))


# Cases


ADAM = {"kind": "adam", "rate": 1e-3}
DENSE = {"kind": "adam", "rate": 2e-3, "normalization_multiplier": 10.0}
SGD = {"kind": "sgd", "rate": 1e-3, "decay": 5e-4, "bias_multiplier": 2.0}
ADAMW = {"kind": "adamw", "rate": 2e-3, "decay": 0.01}
EXPONENTIAL = "exponential:factor=0.96,every=1epochs,warmup=1epochs"
CASES = [
    ("deepprior", deep_prior, 48, ADAM, EXPONENTIAL, ("mse", 0.0), False),
    ("deepprior-dropout", deep_prior, 48, ADAM, EXPONENTIAL, ("mse", 0.0), True),
    ("ren", ren(48), 32, SGD, "steps:every=40000,factor=0.1", ("smooth-l1", 10.0), False),
    ("ren-dropout", ren(48), 32, SGD, "steps:every=40000,factor=0.1", ("smooth-l1", 10.0), True),
    ("dense", dense, 64, DENSE, "cosine:warmup=100", ("huber", 0.01), False),
    ("dtrain-hand", hand, 32, ADAMW, "cosine:warmup=8", ("smooth-l1", 10.0), False),
    ("tiny", tiny, 96, ADAM, "constant", ("smooth-l1", 10.0), False),
]


def summary(values):
    values = values.detach().reshape(-1)
    if values.numel() <= WHOLE:
        return {"values": values.tolist()}
    indices = sorted({(i * 2654435761 + 12345) % values.numel() for i in range(SAMPLES)})
    return {
        "largest": values.abs().max().item(),
        "sum_of_squares": (values * values).sum().item(),
        "indices": indices,
        "samples": [values[i].item() for i in indices],
    }


def course(entry):
    """The case's ten steps: what the first says, the losses, and the net after the last."""
    name, network, size, optimizer, schedule, (loss, value), dropout = entry
    case = {"name": name, "network": network, "optimizer": optimizer, "schedule": schedule, "dropout": dropout}
    net = Net(case)
    samples = len(POSITIONS)
    x = tensor(name + ".input", (samples, size, size, 1))
    labels = tensor(name + ".labels", (samples, OUTPUTS), -1)
    steps = None
    first, losses = {}, []
    for step in range(STEPS):
        outputs = net.run(x)
        total = sum(loss_sum(loss, value, y - labels) for y in outputs) / (samples * OUTPUTS)
        losses.append(total.item())
        for p in net.parameters.values():
            p.grad = None
        total.backward()
        if step == 0:
            steps = optimizer_of(case, net)
            first = {
                "outputs": outputs[-1].detach().clone(),
                "margin": net.smallest,
                "gradients": {k: p.grad.clone() for k, p in net.parameters.items() if p.requires_grad},
                "statistics": {k: p.clone() for k, p in net.parameters.items() if net.roles[k] == "statistic"},
            }
        steps.step(rate_of(case, step))
    return net, first, losses


def golden(entry):
    name, _, size, optimizer, schedule, (loss, value), dropout = entry
    net, first, losses = course(entry)
    print(f"{name}: losses {losses[0]:.6g} to {losses[-1]:.6g}, margin {first['margin']:.2g}", file=sys.stderr)
    return {
        "name": name,
        "size": size,
        "dropout": dropout,
        "loss": {"kind": loss, "value": value},
        "optimizer": optimizer,
        "schedule": schedule,
        "tensors": net.tensors,
        "losses": losses,
        "outputs": first["outputs"].reshape(-1).tolist(),
        "smallest_margin": first["margin"],
        "gradients": {k: summary(g) for k, g in first["gradients"].items()},
        "statistics": {k: summary(s) for k, s in first["statistics"].items()},
        "last_statistics": {k: summary(p) for k, p in net.parameters.items() if net.roles[k] == "statistic"},
    }


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    default = os.path.join(root, "Tests", "NetworksTests", "Golden", "presets.json")
    path = sys.argv[1] if len(sys.argv) > 1 else default
    torch.set_num_threads(1)
    document = {
        "made_by": "Scripts/reference/presets.py",
        "torch": torch.__version__.split("+")[0],
        "steps": STEPS,
        "steps_per_epoch": STEPS_PER_EPOCH,
        "seed": SEED,
        "positions": POSITIONS,
        "cases": [golden(entry) for entry in CASES],
    }
    with open(path, "w") as file:
        json.dump(document, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
