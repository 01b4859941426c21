#!/usr/bin/env python3
"""Golden values of whole networks, by PyTorch in float64, for Tests/NetworksTests.

The presets at small sizes and Docs/examples/tiny.yaml are written out here as their papers have them, apart from dtrain's own
code; parameters have dtrain's names and layouts. Each learns one batch for ten steps by its preset's optimiser and schedule.

Element i of the tensor called n is u * 2^exponent + offset, with u = ((splitmix64(fnv1a64(n) + (i + 1) * G) >> 40) / 2^23 - 1)
and G = 0x9E3779B97F4A7C15: 24 binary digits, so a float32 holds u * 2^exponent exactly.

Usage: presets.py [OUTPUT.json]      default: Tests/NetworksTests/Golden/presets.json
"""

import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

STEPS = 10
STEPS_PER_EPOCH = 4.0
SEED = 5  # of the dropout masks
POSITIONS = [11, 12, 13]  # of the samples in the order of samples
OUTPUTS = 48
JOINTS = 16
GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1
WHOLE = 24  # parameters of at most so many values are written in full
SAMPLES = 8


# Numbers that both sides compute


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def mix(z):
    """SplitMix64's finaliser, of one number or of an array of uint64."""
    if isinstance(z, int):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bits(key, first, count):
    """Numbers first, first + 1, ... of the stream with this key (Sources/System/CounterRandom.swift)."""
    index = np.arange(count, dtype=np.uint64) + np.uint64((first + 1) & MASK)
    return mix(np.uint64(key) + index * np.uint64(GOLDEN))


def counter_key(seed, stream):
    return mix(mix((seed + GOLDEN) & MASK) ^ ((stream * 0xD1B54A32D192ED03) & MASK))


def tensor(name, shape, exponent=0, offset=0.0):
    values = bits(fnv1a(name), 0, int(np.prod(shape))) >> np.uint64(40)
    numbers = (values.astype(np.float64) * 2.0**-23 - 1) * 2.0**exponent + offset
    return torch.from_numpy(numbers.astype(np.float32).astype(np.float64)).reshape(shape)


# Layers, on maps (samples, rows, columns, channels)


class Net:
    """Runs a network's function, making parameters the first time. Counts leaf layers as dtrain does, for the masks."""

    def __init__(self, case):
        self.case = case
        self.parameters = {}
        self.tensors = []
        self.roles = {}
        self.running = {}
        self.smallest = math.inf  # how near a ReLU comes to 0, or a window's winner to its runner-up

    def run(self, x):
        self.leaves = 0
        self.path = []
        self.frames = x
        self.outputs = []
        y = self.case["network"](self, x)
        return self.outputs + [y.reshape(len(x), OUTPUTS)]

    def parameter(self, layer, name, shape, role, exponent, offset=0.0):
        full = ".".join(self.path + [layer, name])
        if full not in self.parameters:
            value = tensor(self.case["name"] + "." + full, shape, exponent, offset)
            self.parameters[full] = value.requires_grad_(role in ("weight", "bias", "normalization"))
            self.roles[full] = role
            self.tensors.append({"name": full, "shape": list(shape), "exponent": exponent, "offset": offset})
        return self.parameters[full]

    def weight(self, layer, shape, inputs, gain=2.0):
        # u has the variance 1 / 3.
        return self.parameter(layer, "weight", shape, "weight", round(math.log2(math.sqrt(3 * gain / inputs))))

    def convolution(self, layer, x, channels, kernel, stride=1, padding="same", bias=True, gain=2.0):
        self.leaves += 1
        inputs = x.shape[-1]
        w = self.weight(layer, (kernel, kernel, inputs, channels), kernel * kernel * inputs, gain)
        b = self.parameter(layer, "bias", (channels,), "bias", -4) if bias else None
        border = kernel // 2 if padding == "same" else 0
        y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, stride=stride, padding=border)
        return y.permute(0, 2, 3, 1)

    def dense(self, layer, x, units, gain=2.0):
        self.leaves += 1
        x = x.reshape(len(x), -1)
        w = self.weight(layer, (x.shape[1], units), x.shape[1], gain)
        return x @ w + self.parameter(layer, "bias", (units,), "bias", -4)

    def relu(self, x):
        self.leaves += 1
        return self.rectified(x)

    def rectified(self, x):
        self.smallest = min(self.smallest, x.detach().abs().min().item())
        return F.relu(x)

    def normalization(self, layer, x, rectified=False):
        """Batch normalisation over all samples and positions."""
        self.leaves += 1
        channels = x.shape[-1]
        # Of the deep network, such that no ReLU is near 0: rounding would take some of its million across.
        scales, shifts = ((-4, 0.25), (-3, 1.0)) if self.case["name"] == "dense" else ((-2, 1.0), (-2, 0.0))
        scale = self.parameter(layer, "scale", (channels,), "normalization", *scales)
        shift = self.parameter(layer, "shift", (channels,), "normalization", *shifts)
        mean = self.parameter(layer, "running-mean", (channels,), "statistic", -2)
        variance = self.parameter(layer, "running-variance", (channels,), "statistic", -2, 1.0)
        y = F.batch_norm(x.reshape(-1, channels), mean, variance, scale, shift, training=True, momentum=0.1, eps=1e-5)
        y = y.reshape(x.shape)
        return self.rectified(y) if rectified else y

    def normalized(self, layer, x, channels, kernel, stride=1, rectified=True):
        """A convolution without bias, then normalisation, then ReLU."""
        y = self.convolution(layer, x, channels, kernel, stride, bias=False)
        return self.normalization(layer + "-norm", y, rectified)

    def max_pooling(self, x, size, rectified=False):
        self.leaves += 1
        n, rows, columns, channels = x.shape
        x = x[:, : rows // size * size, : columns // size * size]
        windows = x.reshape(n, rows // size, size, columns // size, size, channels).permute(0, 1, 3, 5, 2, 4)
        best = windows.reshape(n, rows // size, columns // size, channels, size * size).topk(2, dim=-1).values
        gaps = (best[..., 0] - best[..., 1]).detach()
        if rectified:
            gaps = gaps[best[..., 0] > 0]
        # Equal winners are zeros of a ReLU: no gradient comes through them.
        self.smallest = min([self.smallest] + gaps[gaps > 0].flatten().tolist())
        y = F.max_pool2d(x.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
        return self.rectified(y) if rectified else y

    def upsampling(self, x):
        self.leaves += 1
        return x.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)

    def slice(self, x, index):
        """A region or some channels."""
        self.leaves += 1
        return x[index]

    def dropout(self, x, rate, scaled):
        """The mask is a function of seed, layer and position; scaled: what is kept grows by 1 / (1 - rate)."""
        stream = 0x64726F7000000000 | self.leaves
        self.leaves += 1
        if not self.case["dropout"]:
            return x
        count = x[0].numel()
        words = (count + 1) // 2
        rows = []
        for position in POSITIONS[: len(x)]:
            pairs = bits(counter_key(SEED, stream), position * words, words)
            halves = np.stack([pairs & np.uint64(0xFFFFFFFF), pairs >> np.uint64(32)], axis=1).reshape(-1)[:count]
            rows.append(halves >= np.uint64(int(rate * 2**32)))
        mask = torch.from_numpy(np.stack(rows)).to(torch.float64).reshape(x.shape)
        return x * mask / (1 - rate) if scaled else x * mask

    def inside(self, name, body):
        self.path.append(name)
        y = body()
        self.path.pop()
        return y

    def residual(self, name, x, body, skip=None):
        def whole():
            y = body(x)
            return y + (self.inside("skip", lambda: skip(x)) if skip else x)

        return self.inside(name, whole)

    def branches(self, name, x, *bodies):
        def whole():
            parts = [self.inside(f"branch{n + 1}", lambda: body(x)) for n, body in enumerate(bodies)]
            return torch.cat([p.reshape(len(x), -1) if p.dim() == 2 else p for p in parts], dim=-1)

        return self.inside(name, whole)

    def pose_basis(self, layer, x):
        self.leaves += 1
        components = self.parameter(layer, "components", (x.shape[1], OUTPUTS), "constant", -2)
        return x @ components + self.parameter(layer, "mean", (OUTPUTS,), "constant", -2)

    def soft_argmax(self, x, depth=False, normalized=False):
        """Of (rows, columns, scores and du, dv, dd of each joint): expectations of position + offset."""
        self.leaves += 1
        n, rows, columns, _ = x.shape
        x = x.reshape(n, rows * columns, 4, JOINTS)
        w = x[:, :, 0] if normalized else torch.softmax(x[:, :, 0], dim=1)
        centre = lambda cells: (2 * torch.arange(cells, dtype=torch.float64) + 1) / cells - 1
        v, u = torch.meshgrid(centre(rows), centre(columns), indexing="ij")
        d = torch.zeros(n, rows * columns, dtype=torch.float64)
        if depth:  # the frame at the cell's centre
            height, width = self.frames.shape[1:3]
            at = lambda cells, size: (2 * torch.arange(cells) + 1) * size // (2 * cells)
            d = self.frames[:, at(rows, height)][:, :, at(columns, width), 0].reshape(n, -1)
        places = torch.stack([u.reshape(1, -1).expand(n, -1), v.reshape(1, -1).expand(n, -1), d], dim=2)
        return (w.unsqueeze(2) * (places.unsqueeze(3) + x[:, :, 1:])).sum(dim=1).permute(0, 2, 1)

    def joint_graph(self, layer, x):
        """JGR-P2O's joint graph reasoning, of scores and features."""
        self.leaves += 1
        n, rows, columns, channels = x.shape
        features = channels - JOINTS
        adjacency = torch.eye(JOINTS, dtype=torch.float64)
        for root in (1, 4, 7, 10, 13):
            for a, b in ((0, root), (root, root + 1), (root + 1, root + 2)):
                adjacency[a, b] = adjacency[b, a] = 1
        degree = adjacency.sum(dim=1).rsqrt()
        adjacency = degree[:, None] * adjacency * degree[None]
        flat = x.reshape(n, rows * columns, channels)
        w = torch.softmax(flat[:, :, :JOINTS], dim=1)
        joints = w.transpose(1, 2) @ flat[:, :, JOINTS:]
        learned = self.rectified(adjacency @ joints @ self.weight(layer, (features, features), features))
        spread = w @ learned / JOINTS
        return torch.cat([w, spread], dim=2).reshape(n, rows, columns, channels)


# Networks


def deep_prior(net, x):
    """Oberweger et al. 2015, figure 1c: three convolutions, two dense layers of 1024, 30 coordinates in a basis of poses."""
    x = net.max_pooling(net.convolution("conv1", x, 8, 5, padding="valid"), 4, rectified=True)
    x = net.max_pooling(net.convolution("conv2", x, 8, 5, padding="valid"), 2, rectified=True)
    x = net.relu(net.convolution("conv3", x, 8, 3, padding="valid"))
    x = net.dropout(net.relu(net.dense("fc1", x, 1024)), 0.3, scaled=False)
    x = net.dropout(net.relu(net.dense("fc2", x, 1024)), 0.3, scaled=False)
    return net.pose_basis("basis", net.dense("fc3", x, 30, gain=1.0))


def ren(units):
    """Guo et al. 2017: a residual trunk, two dense layers for each quadrant, one over all."""

    def block(net, x, number, channels):
        x = net.relu(net.convolution(f"widen{number}", x, channels, 1))
        body = lambda a: net.convolution("conv2", net.relu(net.convolution("conv1", a, channels, 3)), channels, 3)
        return net.residual(f"residual{number}", x, body)

    def region(net, rows, columns):
        def body(x):
            x = net.slice(x, (slice(None), rows, columns))
            x = net.dropout(net.relu(net.dense("fc1", x, units)), 0.5, scaled=True)
            return net.dropout(net.relu(net.dense("fc2", x, units)), 0.5, scaled=True)

        return body

    def network(net, x):
        x = net.relu(net.convolution("conv1", x, 16, 3))
        x = net.max_pooling(net.convolution("conv2", x, 16, 3), 2, rectified=True)
        x = net.max_pooling(block(net, x, 2, 32), 2, rectified=True)
        x = net.max_pooling(block(net, x, 3, 64), 2, rectified=True)
        half = x.shape[1] // 2
        low, high = slice(0, half), slice(half, 2 * half)
        quadrants = [region(net, rows, columns) for rows in (low, high) for columns in (low, high)]
        return net.dense("fc", net.branches("regions", x, *quadrants), OUTPUTS, gain=1.0)

    return network


def dense(net, x):
    """Fang et al. 2020, JGR-P2O with two stacks."""

    def bottleneck(name, x, outputs=128):
        inputs = x.shape[-1]

        def body(y):
            y = net.normalized("conv1", y, outputs // 2, 1)
            y = net.normalized("conv2", y, outputs // 2, 3)
            return net.normalized("conv3", y, outputs, 1, rectified=False)

        skip = None if inputs == outputs else lambda y: net.normalized("conv", y, outputs, 1, rectified=False)
        return net.relu(net.residual(name, x, body, skip))

    def hourglass(x, depth):
        def body(y):
            y = bottleneck("down", net.max_pooling(y, 2))
            if depth > 1:
                y = hourglass(y, depth - 1)
            return net.upsampling(bottleneck("up", y))

        return net.residual("hourglass", x, body, lambda y: bottleneck("beside", y))

    def stack(x):
        x = bottleneck("features", hourglass(x, 3))
        votes = lambda y: net.branches(
            "votes", y, lambda z: net.convolution("scores", z, JOINTS, 1, gain=16.0),
            lambda z: net.normalized("features", z, 128, 1))
        # y; then w and the joints' features spread over the map, m
        x = net.branches("reasoning", x, lambda y: y, lambda y: net.joint_graph("graph", votes(y)))
        channels = lambda y, first, end: net.slice(y, (..., slice(first, end)))
        joints = lambda y: net.normalized("conv", channels(y, 128 + JOINTS, 256 + JOINTS), 128, 1)
        join = lambda y: net.branches("join", y, joints, lambda z: channels(z, 0, 128))
        return net.branches(
            "features2", x, lambda y: channels(y, 128, 128 + JOINTS),
            lambda y: net.normalized("conv", join(y), 128, 1))

    def maps(x, with_features):
        weights = lambda y: net.slice(y, (..., slice(0, JOINTS)))
        features = lambda y: net.slice(y, (..., slice(JOINTS, JOINTS + 128)))
        offsets = lambda y: net.convolution("offsets", features(y), OUTPUTS, 1, bias=False, gain=0.125)
        return net.branches("maps", x, weights, offsets, *([features] if with_features else []))

    def first(x):
        x = maps(stack(x), True)
        own = net.slice(x, (..., slice(0, 4 * JOINTS)))
        net.outputs.append(net.soft_argmax(own, depth=True, normalized=True).reshape(len(x), OUTPUTS))
        return net.convolution("merge", x, 128, 1)

    x = net.normalized("stem", x, 32, 7, stride=2)
    x = net.max_pooling(bottleneck("block1", x, 64), 2)
    x = bottleneck("block3", bottleneck("block2", x, 64), 128)
    x = net.residual("stack1", x, first)
    return net.soft_argmax(maps(stack(x), False), depth=True, normalized=True)


def hand(net, x):
    """dtrain's own: residual blocks, then soft-argmax with offsets."""

    def block(x, number, outputs, stride=1):
        def body(y):
            y = net.normalized("conv1", y, outputs, 3, stride)
            return net.normalized("conv2", y, outputs, 3, rectified=False)

        same = x.shape[-1] == outputs and stride == 1
        skip = None if same else lambda y: net.normalized("conv", y, outputs, 1, stride, rectified=False)
        return net.relu(net.residual(f"block{number}", x, body, skip))

    x = net.max_pooling(net.normalized("stem", x, 16, 5, stride=2), 2)
    x = block(block(x, 1, 32), 2, 64, stride=2)
    x = block(block(x, 3, 64), 4, 64)
    offsets = lambda y: net.convolution("offsets", net.relu(net.convolution("conv", y, 64, 3)), OUTPUTS, 1, gain=0.125)
    scores = lambda y: net.convolution("scores", y, JOINTS, 1)
    return net.soft_argmax(net.branches("maps", x, scores, offsets))


def tiny(net, x):
    """Docs/examples/tiny.yaml."""
    x = net.max_pooling(net.convolution("conv1", x, 8, 5, stride=2), 2, rectified=True)
    x = net.normalization("norm2", net.convolution("conv2", x, 24, 3, stride=2, bias=False), rectified=True)

    def body(y):
        y = net.normalization("batch-normalization1", net.convolution("convolution1", y, 24, 3, bias=False), rectified=True)
        return net.normalization("batch-normalization2", net.convolution("convolution2", y, 24, 3, bias=False))

    x = net.relu(net.residual("block3", x, body))
    x = net.branches(
        "maps", x, lambda y: net.convolution("scores", y, JOINTS, 1),
        lambda y: net.convolution("offsets", y, OUTPUTS, 3, gain=0.125))
    return net.soft_argmax(x)


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
