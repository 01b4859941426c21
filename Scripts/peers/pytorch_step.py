#!/usr/bin/env python3
"""A training step of the hand-joint network in PyTorch, timed.

The best settings that were found for a CPU: channels_last, where the convolution runs in oneDNN; Adam with fused=True, one
pass over weights, moments and gradient instead of several; matrix products by MKL, which the wheels from PyPI contain.
Memory is what slows it: each step's gradient of 629 MB lands in fresh pages. glibc told to keep freed memory cures most of
that (Scripts/bench-peers.sh, "tuned").
"""

import peer


def configure(parser):
    parser.add_argument("--adam", choices=("fused", "foreach", "plain"), default="fused", help="implementation of Adam")


arguments = peer.options(__doc__.splitlines()[0], configure)

import torch
from torch import nn

torch.set_num_threads(arguments.threads)
torch.set_num_interop_threads(1)
torch.manual_seed(1)


def network(pool):
    """The question's network, with linear output and PyTorch's own initial values."""
    return nn.Sequential(
        nn.Conv2d(1, peer.CHANNELS, peer.KERNEL, padding="same"),
        nn.ReLU(),
        nn.MaxPool2d(pool),
        nn.Flatten(),
        nn.Linear(peer.flattened(pool), peer.HIDDEN),
        nn.ReLU(),
        nn.Linear(peer.HIDDEN, peer.OUTPUTS),
    ).to(memory_format=torch.channels_last)


model = network(arguments.pool)
adam = torch.optim.Adam(
    model.parameters(), lr=peer.LEARNING_RATE, fused=arguments.adam == "fused", foreach=arguments.adam == "foreach"
)
data = [
    (torch.from_numpy(frames).permute(0, 3, 1, 2), torch.from_numpy(labels))  # NHWC in memory: channels_last
    for frames, labels in peer.batches(arguments.batch)
]


def step(k):
    frames, labels = data[k % len(data)]
    loss = nn.functional.mse_loss(model(frames), labels)
    adam.zero_grad()
    loss.backward()
    adam.step()
    return loss.item()


times, losses = peer.timed(step, arguments)
peer.report(
    "pytorch", torch.__version__, f"channels_last, Adam {arguments.adam}, "
    f"oneDNN {'on' if torch.backends.mkldnn.is_available() else 'off'}, MKL {'on' if torch.backends.mkl.is_available() else 'off'}",
    arguments, times, losses,
)
