#!/usr/bin/env bash
# What bf16 on the wire does to the loss: trains the same small network on two ranks with fp32 and with bf16 gradients, by
# each exchange that sends gradients, and writes the table and Docs/wire.svg into Docs/scaling.md from the metrics.
#
# Usage: Scripts/wire.sh [dtrain arguments for all runs]      default: a small network, 600 steps; under a minute
# The runs stay in runs/wire; those of an earlier call are replaced.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

arguments=("$@")
(($#)) || arguments=(
    --image-size 64x48 --hidden 64 --batch-size 10 --synthetic-frames 2000 --synthetic-test-frames 200 --steps 600
    --learning-rate 1e-3)

set_up
python=$("$root/Scripts/python-env.sh")
swift build --package-path "$root" -c release --product dtrain >&2

runs=$root/runs/wire
rm -rf -- "$runs"
mkdir -p -- "$runs"
# Ranks may run as root in a container, and outnumber the processors.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
printf 'mpirun -np 2 dtrain train %s\n' "${arguments[*]}" >"$runs/command"
for exchange in allreduce sharded; do
    for wire in fp32 bf16; do
        say "running: --exchange $exchange --wire $wire"
        mpirun -np 2 --oversubscribe --bind-to none "$root/.build/release/dtrain" train "${arguments[@]}" --log-every 1 \
            --exchange "$exchange" --wire "$wire" --run-dir "$runs/$exchange-$wire" >&2
        rm -rf -- "$runs/$exchange-$wire/checkpoints"
    done
done

"$python" "$root/Scripts/plots/wire.py" "$runs" "$root/Docs"
