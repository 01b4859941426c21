#!/usr/bin/env python3
"""Golden values of optimisers and schedules, by PyTorch in float64, for Tests/OptimizersTests.

Each optimiser takes 20 steps on three parameters (a weight, a bias, a normalisation) with given gradients.
Element i of tensor number n is ((((i * 2654435761 + n * 40503 + 12345) mod 2^32) >> 16) / 65536 - 0.5) * factor:
16 binary digits, so a float32 holds it exactly. Parameter p (0, 1, 2) begins as tensor p with factor 2; its gradient
at step t (from 0) is tensor 10 + 3 t + p with factor 4.

Usage: optimizers.py [OUTPUT.json]      default: Tests/OptimizersTests/Golden/optimizers.json
"""

import json
import math
import os
import sys
import warnings

import torch

STEPS = 20
SIZES = [35, 9, 3]  # weight, bias, normalisation
RATE = 0.01
DECAY = 0.05
BASE = 0.5  # of the schedules


def tensor(number, count, factor):
    integers = [(i * 2654435761 + number * 40503 + 12345) % 2**32 for i in range(count)]
    values = [((n >> 16) / 65536 - 0.5) * factor for n in integers]
    return torch.tensor(values, dtype=torch.float64)


def course(make, multiplier=1.0, decay=0.0, scheduler=None):
    """Weights after each fifth step, and the state at the end; decay on the weight alone."""
    parameters = [torch.nn.Parameter(tensor(p, size, 2)) for p, size in enumerate(SIZES)]
    optimizer = make(
        [
            {"params": [parameters[0]], "weight_decay": decay},
            {"params": [parameters[1]], "weight_decay": 0.0, "lr": RATE * multiplier},
            {"params": [parameters[2]], "weight_decay": 0.0},
        ]
    )
    schedule = scheduler(optimizer) if scheduler else None
    snapshots = []
    for step in range(STEPS):
        for p, parameter in enumerate(parameters):
            parameter.grad = tensor(10 + 3 * step + p, SIZES[p], 4)
        optimizer.step()
        if schedule:
            schedule.step()
        if step % 5 == 4:
            snapshots.append([parameter.tolist() for parameter in parameters])
    names = [n for n in ("exp_avg", "exp_avg_sq", "momentum_buffer") if n in optimizer.state[parameters[0]]]
    state = [[optimizer.state[parameter][n].tolist() for parameter in parameters] for n in names]
    return {"snapshots": snapshots, "state": [s for s in state if s[0] is not None]}


def optimizer_cases():
    sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
    yield {"name": "sgd", "kind": "sgd", "momentum": 0.0}, lambda g: sgd(g, lr=RATE), {}
    yield {"name": "momentum", "kind": "sgd", "momentum": 0.9}, lambda g: sgd(g, lr=RATE, momentum=0.9), {}
    yield (
        {"name": "ren", "kind": "sgd", "momentum": 0.9, "decay": DECAY, "multiplier": 2.0},
        lambda g: sgd(g, lr=RATE, momentum=0.9),
        {"decay": DECAY, "multiplier": 2.0},
    )
    yield (
        {"name": "nesterov", "kind": "sgd", "momentum": 0.9, "nesterov": True, "decay": DECAY},
        lambda g: sgd(g, lr=RATE, momentum=0.9, nesterov=True),
        {"decay": DECAY},
    )
    yield {"name": "adamw", "kind": "adamw", "decay": DECAY}, lambda g: adamw(g, lr=RATE), {"decay": DECAY}
    # An epsilon that matters: where it stands shows.
    yield (
        {"name": "adamw epsilon", "kind": "adamw", "decay": DECAY, "epsilon": 0.5, "multiplier": 2.0},
        lambda g: adamw(g, lr=RATE, eps=0.5),
        {"decay": DECAY, "multiplier": 2.0},
    )
    # With an epsilon too small to matter, TensorFlow's and PyTorch's forms of Adam are one.
    yield (
        {"name": "adam", "kind": "adam", "decay": DECAY, "epsilon": 1e-20},
        lambda g: adam(g, lr=RATE, eps=1e-20),
        {"decay": DECAY},
    )
    cosine = lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=STEPS)
    yield (
        {"name": "adamw cosine", "kind": "adamw", "decay": DECAY, "schedule": "cosine"},
        lambda g: adamw(g, lr=RATE),
        {"decay": DECAY, "scheduler": cosine},
    )
    yield (
        {"name": "momentum steps", "kind": "sgd", "momentum": 0.9, "schedule": "steps:every=6,factor=0.1"},
        lambda g: sgd(g, lr=RATE, momentum=0.9),
        {"scheduler": lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=6, gamma=0.1)},
    )


def schedule_cases():
    lr = torch.optim.lr_scheduler
    # factor (t + 1) / 8 for the first eight steps
    warm = lambda o: lr.LinearLR(o, start_factor=1 / 8, end_factor=1, total_iters=7)
    both = lambda make: lambda o: lr.ChainedScheduler([warm(o), make(o)])
    forms = [
        ("constant", lambda o: lr.LambdaLR(o, lambda t: 1.0)),
        ("steps:every=6,factor=0.1", lambda o: lr.StepLR(o, step_size=6, gamma=0.1)),
        ("exponential:factor=0.96,every=1", lambda o: lr.ExponentialLR(o, gamma=0.96)),
        ("cosine", lambda o: lr.CosineAnnealingLR(o, T_max=STEPS)),
        ("cosine:final=0.1", lambda o: lr.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.1 * BASE)),
        # an epoch is 4 steps
        ("steps:every=2epochs,factor=0.5", lambda o: lr.StepLR(o, step_size=8, gamma=0.5)),
        ("exponential:factor=0.96,every=1epochs", lambda o: lr.LambdaLR(o, lambda t: 0.96 ** (t / 4))),
        ("inverse:k=0.2", lambda o: lr.LambdaLR(o, lambda t: 1 / (1 + 0.2 * (t // 4)))),
    ]
    # LambdaLR sets the rate from its base instead of multiplying, so it cannot be chained.
    chained = {"steps:every=6,factor=0.1", "exponential:factor=0.96,every=1", "steps:every=2epochs,factor=0.5"}
    for text, make in forms:
        yield text, make
        if text in chained:
            yield text + ",warmup=8", both(make)
            yield text + ",warmup=2epochs", both(make)
    yield "constant:warmup=8", warm
    # Chained multiplies exactly only what is multiplicative; cosine's and the others' products are written out.
    ramp = lambda t: min(1.0, (t + 1) / 8)
    yield "cosine:warmup=8", lambda o: lr.LambdaLR(o, lambda t: ramp(t) * (1 + math.cos(math.pi * t / STEPS)) / 2)
    yield "inverse:k=0.2,warmup=2epochs", lambda o: lr.LambdaLR(o, lambda t: ramp(t) / (1 + 0.2 * (t // 4)))


def rates(make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))], lr=BASE)
    scheduler = make(optimizer)
    values = []
    for _ in range(STEPS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    default = os.path.join(root, "Tests", "OptimizersTests", "Golden", "optimizers.json")
    path = sys.argv[1] if len(sys.argv) > 1 else default
    warnings.simplefilter("ignore")
    document = {
        "made_by": "Scripts/reference/optimizers.py",
        "torch": torch.__version__.split("+")[0],
        "steps": STEPS,
        "sizes": SIZES,
        "rate": RATE,
        "steps_per_epoch": 4,
        "base": BASE,
        "optimizers": [{**case, **course(make, **options)} for case, make, options in optimizer_cases()],
        "schedules": [{"text": text, "rates": rates(make)} for text, make in schedule_cases()],
    }
    with open(path, "w") as file:
        json.dump(document, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
