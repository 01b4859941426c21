#!/usr/bin/env python3
"""A training step of one of dtrain's presets in PyTorch, timed; or with --forward, an evaluation pass.

The best settings that were found for a CPU: channels_last (oneDNN's convolutions), and the preset's optimiser with fused=True.
"""

import peer

PRESETS = ("deepprior", "ren", "dense", "dtrain-hand")


def configure(parser):
    parser.add_argument("--preset", choices=PRESETS, required=True, help="network")
    parser.add_argument("--forward", action="store_true", help="an evaluation pass instead of a training step")


arguments = peer.options(__doc__.splitlines()[0], configure)

import torch

import pytorch_networks

torch.set_num_threads(arguments.threads)
torch.set_num_interop_threads(1)
torch.manual_seed(1)

make, side, loss_of, optimizer_of, _ = pytorch_networks.PRESETS[arguments.preset]
model = make().to(memory_format=torch.channels_last)
data = [
    (
        (2 * torch.rand(arguments.batch, 1, side, side) - 1).contiguous(memory_format=torch.channels_last),
        torch.rand(arguments.batch, pytorch_networks.OUTPUTS) - 0.5,
    )
    for _ in range(peer.BATCHES)
]
optimizer = optimizer_of(model.parameters())


def train(k):
    frames, labels = data[k % len(data)]
    loss = loss_of(model(frames), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def evaluate(k):
    with torch.inference_mode():
        y = model(data[k % len(data)][0])
    return (y[-1] if isinstance(y, tuple) else y)[0, 0].item()


model.train(not arguments.forward)
times, losses = peer.timed(evaluate if arguments.forward else train, arguments)
peer.report(
    "pytorch", torch.__version__, f"channels_last, {type(optimizer).__name__} fused, oneDNN "
    f"{'on' if torch.backends.mkldnn.is_available() else 'off'}",
    arguments, times, losses, preset=arguments.preset, forward=arguments.forward,
)
