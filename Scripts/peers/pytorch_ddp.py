#!/usr/bin/env python3
"""A data-parallel training step of the hand-joint network, or of a preset, by PyTorch DDP over gloo, timed.

Alone, it starts --processes processes on this machine. Under mpirun or torchrun it is one rank: mpirun's variables
(OMPI_COMM_WORLD_RANK, _SIZE) or RANK and WORLD_SIZE say which, and --master names rank 0's address. The global batch is
divided evenly. Settings: as pytorch_step.py, and for DDP gradient_as_bucket_view (no second copy of the gradient) and
static_graph. Rank 0 prints the line; peak memory is the largest of the ranks.

With --preset one of dtrain's presets (pytorch_networks.py) on random crops. Its batch normalisation uses each rank's own batch, and
buffers stay where they are (broadcast_buffers=False): PyTorch has no global batch statistics on processors. dtrain has.
"""

import os
import subprocess
import sys

import peer


def configure(parser):
    parser.add_argument("--processes", type=int, default=2, help="processes to start, when no launcher has")
    parser.add_argument("--master", default="127.0.0.1", help="address of rank 0")
    parser.add_argument("--port", type=int, default=29512, help="its port")
    parser.add_argument("--interface", help="network interface for gloo (GLOO_SOCKET_IFNAME)")
    parser.add_argument("--preset", choices=("deepprior", "ren", "dense", "dtrain-hand"), help="network, instead of the question's")


arguments = peer.options(__doc__.splitlines()[0], configure)

variables = os.environ
if "OMPI_COMM_WORLD_RANK" in variables:
    rank, size = int(variables["OMPI_COMM_WORLD_RANK"]), int(variables["OMPI_COMM_WORLD_SIZE"])
elif "RANK" in variables:
    rank, size = int(variables["RANK"]), int(variables["WORLD_SIZE"])
else:
    ranks = [
        subprocess.Popen(
            [sys.executable, *sys.argv], env=dict(variables, RANK=str(r), WORLD_SIZE=str(arguments.processes))
        )
        for r in range(arguments.processes)
    ]
    sys.exit(max(process.wait() for process in ranks))

if arguments.batch % size:
    sys.exit(f"--batch {arguments.batch} does not divide by {size} ranks")
if arguments.interface:
    variables["GLOO_SOCKET_IFNAME"] = arguments.interface

import torch
import torch.distributed as distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

torch.set_num_threads(arguments.threads)
torch.set_num_interop_threads(1)
torch.manual_seed(1)
distributed.init_process_group(
    "gloo", init_method=f"tcp://{arguments.master}:{arguments.port}", rank=rank, world_size=size
)

samples = arguments.batch // size
if arguments.preset:
    import pytorch_networks

    make, side, loss_of, optimizer_of, _ = pytorch_networks.PRESETS[arguments.preset]
    model = make().to(memory_format=torch.channels_last)
    optimizer = optimizer_of(model.parameters())
    data = [
        (
            (2 * torch.rand(samples, 1, side, side) - 1).contiguous(memory_format=torch.channels_last),
            torch.rand(samples, pytorch_networks.OUTPUTS) - 0.5,
        )
        for _ in range(peer.BATCHES)
    ]
else:
    loss_of = nn.functional.mse_loss
    model = nn.Sequential(
        nn.Conv2d(1, peer.CHANNELS, peer.KERNEL, padding="same"),
        nn.ReLU(),
        nn.MaxPool2d(arguments.pool),
        nn.Flatten(),
        nn.Linear(peer.flattened(arguments.pool), peer.HIDDEN),
        nn.ReLU(),
        nn.Linear(peer.HIDDEN, peer.OUTPUTS),
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=peer.LEARNING_RATE, fused=True)
    data = [
        (torch.from_numpy(frames).permute(0, 3, 1, 2), torch.from_numpy(labels))
        for frames, labels in peer.batches(samples, seed=1 + rank)
    ]
replica = DistributedDataParallel(model, gradient_as_bucket_view=True, static_graph=True, broadcast_buffers=not arguments.preset)


def step(k):
    frames, labels = data[k % len(data)]
    loss = loss_of(replica(frames), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


times, losses = peer.timed(step, arguments)

mean_losses = torch.tensor(losses, dtype=torch.float64)
distributed.all_reduce(mean_losses)
memory = torch.tensor([peer.peak_memory_mb()], dtype=torch.float64)
distributed.all_reduce(memory, op=distributed.ReduceOp.MAX)
if rank == 0:
    peer.report(
        "pytorch-ddp", torch.__version__, f"gloo, channels_last, {type(optimizer).__name__} fused, gradient_as_bucket_view, static_graph",
        arguments, times, (mean_losses / size).tolist(), memory=memory.item(), ranks=size, preset=arguments.preset,
    )
# Without taking gloo down: a process whose peer closes its connections first aborts, after all is measured.
distributed.barrier()
sys.stdout.flush()
os._exit(0)
