"""Layers of presets.py, by PyTorch in float64, and the numbers that both sides compute.

Element i of the tensor called n is u * 2^exponent + offset, with u = ((splitmix64(fnv1a64(n) + (i + 1) * G) >> 40) / 2^23 - 1)
and G = 0x9E3779B97F4A7C15: 24 binary digits, so a float32 holds u * 2^exponent exactly.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

SEED = 5  # of the dropout masks
POSITIONS = [11, 12, 13]  # of the samples in the order of samples
OUTPUTS = 48
JOINTS = 16
GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


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
