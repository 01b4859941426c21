"""dtrain's presets of crop networks as PyTorch modules, NCHW, as their papers have them. Used by pytorch_preset.py.

Layers stand in the order of dtrain's own (Sources/Networks/Architectures); initial values are PyTorch's.
"""

import torch
import torch.nn.functional as F
from torch import nn

OUTPUTS, JOINTS = 48, 16


def normalized(inputs, outputs, kernel=1, stride=1, rectified=True):
    """A convolution without bias, batch normalisation, ReLU."""
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if rectified else []))


class Residual(nn.Module):
    def __init__(self, body, skip=None, rectified=False):
        super().__init__()
        self.body, self.skip, self.rectified = body, skip, rectified

    def forward(self, x):
        y = self.body(x) + (x if self.skip is None else self.skip(x))
        return F.relu(y, inplace=True) if self.rectified else y


class PoseBasis(nn.Module):
    """A fixed linear layer: coordinates in a basis of poses become a pose."""

    def __init__(self, components):
        super().__init__()
        self.register_buffer("components", torch.randn(components, OUTPUTS))
        self.register_buffer("mean", torch.randn(OUTPUTS))

    def forward(self, x):
        return torch.addmm(self.mean, x, self.components)


class SoftArgmax(nn.Module):
    """Of (scores, du, dv, dd) of each joint: expectations of position + offset."""

    def __init__(self, rows, columns, normalized=False):
        super().__init__()
        self.normalized = normalized
        centre = lambda cells: (2 * torch.arange(cells, dtype=torch.float32) + 1) / cells - 1
        v, u = torch.meshgrid(centre(rows), centre(columns), indexing="ij")
        self.register_buffer("places", torch.stack([u.flatten(), v.flatten(), torch.zeros(rows * columns)])[None, :, None])

    def forward(self, x, depth=None):
        n, _, rows, columns = x.shape
        x = x.reshape(n, 4, JOINTS, rows * columns)
        w = x[:, 0] if self.normalized else torch.softmax(x[:, 0], dim=-1)
        places = self.places
        if depth is not None:
            places = torch.cat([places[:, :2].expand(n, -1, -1, -1), depth.reshape(n, 1, 1, -1)], dim=1)
        return (w.unsqueeze(1) * (places + x[:, 1:])).sum(dim=-1).transpose(1, 2).reshape(n, OUTPUTS)


def deepprior(size=128):
    side = ((size - 4) // 4 - 4) // 2 - 2
    return nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.MaxPool2d(4), nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Linear(8 * side * side, 1024), nn.ReLU(inplace=True), nn.Dropout(0.3),
        nn.Linear(1024, 1024), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(1024, 30), PoseBasis(30),
    )


class Regions(nn.Module):
    def __init__(self, channels, side, units=2048):
        super().__init__()
        self.half = side // 2
        dense = lambda inputs: [nn.Linear(inputs, units), nn.ReLU(inplace=True), nn.Dropout(0.5)]
        inputs = channels * self.half**2
        self.regions = nn.ModuleList(nn.Sequential(nn.Flatten(), *dense(inputs), *dense(units)) for _ in range(4))

    def forward(self, x):
        low, high = slice(0, self.half), slice(self.half, 2 * self.half)
        parts = [x[:, :, rows, columns] for rows in (low, high) for columns in (low, high)]
        return torch.cat([region(part) for region, part in zip(self.regions, parts)], dim=1)


def ren(size=96):
    def block(inputs, channels):
        body = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 3, padding=1))
        return [nn.Conv2d(inputs, channels, 1), nn.ReLU(), Residual(body), nn.MaxPool2d(2), nn.ReLU(inplace=True)]

    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(16, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(inplace=True),
        *block(16, 32), *block(32, 64), Regions(64, size // 8), nn.Linear(4 * 2048, OUTPUTS),
    )


def bottleneck(inputs=128, outputs=128):
    body = nn.Sequential(
        normalized(inputs, outputs // 2), normalized(outputs // 2, outputs // 2, 3), normalized(outputs // 2, outputs, rectified=False)
    )
    return Residual(body, None if inputs == outputs else normalized(inputs, outputs, rectified=False), rectified=True)


def hourglass(depth=3):
    inside = [hourglass(depth - 1)] if depth > 1 else []
    return Residual(nn.Sequential(nn.MaxPool2d(2), bottleneck(), *inside, bottleneck(), nn.Upsample(scale_factor=2)), bottleneck())


class JointGraph(nn.Module):
    """JGR-P2O's joint graph reasoning."""

    def __init__(self, features):
        super().__init__()
        adjacency = torch.eye(JOINTS)
        for root in (1, 4, 7, 10, 13):
            for a, b in ((0, root), (root, root + 1), (root + 1, root + 2)):
                adjacency[a, b] = adjacency[b, a] = 1
        degree = adjacency.sum(dim=1).rsqrt()
        self.register_buffer("adjacency", degree[:, None] * adjacency * degree[None])
        self.weight = nn.Parameter(torch.randn(features, features) * (2 / features) ** 0.5)

    def forward(self, scores, features):
        n, channels, rows, columns = features.shape
        w = torch.softmax(scores.flatten(2), dim=2)
        joints = w @ features.flatten(2).transpose(1, 2)
        learned = F.relu(self.adjacency @ joints @ self.weight)
        return w.reshape(n, JOINTS, rows, columns), (learned.transpose(1, 2) @ w / JOINTS).reshape(n, channels, rows, columns)


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(hourglass(), bottleneck())
        self.scores, self.votes, self.graph = nn.Conv2d(128, JOINTS, 1), normalized(128, 128), JointGraph(128)
        self.joints, self.join = normalized(128, 128), normalized(256, 128)
        self.offsets = nn.Conv2d(128, OUTPUTS, 1, bias=False)

    def forward(self, x):
        y = self.features(x)
        w, m = self.graph(self.scores(y), self.votes(y))
        features = self.join(torch.cat([self.joints(m), y], dim=1))
        return torch.cat([w, self.offsets(features)], dim=1), features


class DenseOffsets(nn.Module):
    def __init__(self, size=96):
        super().__init__()
        self.trunk = nn.Sequential(
            normalized(1, 32, 7, 2), bottleneck(32, 64), nn.MaxPool2d(2), bottleneck(64, 64), bottleneck(64, 128)
        )
        self.stack1, self.stack2, self.merge = Stack(), Stack(), nn.Conv2d(64 + 128, 128, 1)
        self.argmax = SoftArgmax(size // 4, size // 4, normalized=True)

    def forward(self, frames):
        x = self.trunk(frames)
        depth = frames[:, 0, 2::4, 2::4]
        maps1, features = self.stack1(x)
        maps2, _ = self.stack2(x + self.merge(torch.cat([maps1, features], dim=1)))
        return self.argmax(maps1, depth), self.argmax(maps2, depth)


class Hand(nn.Module):
    def __init__(self, size=96):
        super().__init__()

        def block(inputs, outputs, stride=1):
            body = nn.Sequential(normalized(inputs, outputs, 3, stride), normalized(outputs, outputs, 3, rectified=False))
            same = inputs == outputs and stride == 1
            return Residual(body, None if same else normalized(inputs, outputs, 1, stride, rectified=False), rectified=True)

        self.trunk = nn.Sequential(
            normalized(1, 16, 5, 2), nn.MaxPool2d(2), block(16, 32), block(32, 64, 2), block(64, 64), block(64, 64)
        )
        self.scores = nn.Conv2d(64, JOINTS, 1)
        self.offsets = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(64, OUTPUTS, 1))
        self.argmax = SoftArgmax(size // 8, size // 8)

    def forward(self, frames):
        x = self.trunk(frames)
        return self.argmax(torch.cat([self.scores(x), self.offsets(x)], dim=1))


def smooth_l1(y, labels):
    return F.smooth_l1_loss(y, labels, beta=0.01)


def stacks_huber(y, labels):
    return sum(F.huber_loss(each, labels, delta=0.01) for each in y)


# Of each preset: the network, the side of its input, its loss, its optimiser (all fused), its batch.
PRESETS = {
    "deepprior": (deepprior, 128, F.mse_loss, lambda p: torch.optim.Adam(p, 1e-3, fused=True), 128),
    "ren": (ren, 96, smooth_l1, lambda p: torch.optim.SGD(p, 5e-3, momentum=0.9, weight_decay=5e-4, fused=True), 128),
    "dense": (DenseOffsets, 96, stacks_huber, lambda p: torch.optim.Adam(p, 1e-3, fused=True), 32),
    "dtrain-hand": (Hand, 96, smooth_l1, lambda p: torch.optim.AdamW(p, 2e-3, weight_decay=0.01, fused=True), 32),
}
