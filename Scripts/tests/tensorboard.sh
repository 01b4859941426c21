#!/usr/bin/env bash
# The short form of Scripts/check-tensorboard.sh. Skipped where the package tensorboard is not there and cannot be had in a minute.
set -euo pipefail
export DTRAIN_INSTALL_SECONDS=${DTRAIN_INSTALL_SECONDS:-60}
exec "$(dirname -- "${BASH_SOURCE[0]}")/../check-tensorboard.sh" --short
