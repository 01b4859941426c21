#!/usr/bin/env bash
# Sets the machine up, builds dtrain and trains: mpirun -np 4 dtrain.
#
# Usage: Scripts/train.sh [dtrain arguments]        with none, the defaults below
#   DTRAIN_RANKS=N   number of ranks (4)
#   DTRAIN_REPORT=0  no page that shows the run; without it, RUN/report.html is written
# Exits with dtrain's status. Paths in the arguments are relative to the directory it is called from.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

default_arguments=(--steps 60 --validate-every 20 --checkpoint-every 60)
ranks=${DTRAIN_RANKS:-4}
[[ $ranks =~ ^[1-9][0-9]*$ ]] || fail "DTRAIN_RANKS=$ranks is not a number of ranks. hint: DTRAIN_RANKS=4 Scripts/train.sh"

arguments=("$@")
(($#)) || arguments=("${default_arguments[@]}")
# The page that shows the run; other subcommands have none.
[[ ${DTRAIN_REPORT:-1} == 0 || ${arguments[0]} != -* && ${arguments[0]} != train ]] || arguments+=(--report)

set_up
swift build --package-path "$root" -c release --product dtrain >&2
dtrain=$root/.build/release/dtrain

say "running: mpirun -np $ranks dtrain ${arguments[*]}"
status=0
run_ranks "$ranks" "$dtrain" "${arguments[@]}" || status=$?
((status == 0)) || exit "$status"

program=$(printf '%q' "$dtrain")
cat >&2 <<END

Next:
  # go on from the newest checkpoint of a run (RUN: its directory, named above; N: more steps than it has)
  Scripts/train.sh --config RUN/config.yaml --run-dir RUN --resume auto --steps N
  # train on ICVL: DIR holds Training/ and Testing/; its list names frames that do not exist, which are skipped
  Scripts/train.sh --preset dtrain-hand --data DIR --on-bad-sample skip --steps 2000
  # write a data set of synthetic hands in ICVL's format
  $program synth OUT --frames 2000 --test-frames 200
  # what a network sees in frames (OUT: a data set, a folder or PNG files), in numbers and pictures; its error in mm on a data set
  $program predict CHECKPOINT OUT --overlay pictures
  $program evaluate CHECKPOINT --data OUT
  # compare runs on a page; each run's own page is RUN/report.html
  $program report RUN RUN
  # what a checkpoint holds
  $program inspect CHECKPOINT
  # everything else
  $program --help
  # install, so that 'mpirun -np 4 dtrain' works anywhere
  Scripts/install.sh
  # all tests
  Scripts/test.sh
END
