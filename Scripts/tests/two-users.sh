#!/usr/bin/env bash
# Two users on one machine: what one user's run keeps cannot be read, planted or confused by the other, who really tries; runs of two
# users, and two of one user, beside each other give the same losses as each alone. Makes two users for the time of the test, so it
# needs root.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source=Scripts/runs.sh
source "$root/Scripts/runs.sh"

if ((EUID != 0)); then
    say "two-users: skipped, it needs root to make a second user"
    exit 0
elif ! { command -v useradd && command -v setpriv && command -v python3; } >/dev/null; then
    say "two-users: skipped, it needs useradd, setpriv and python3"
    exit 0
fi

owner=dtraino$$ other=dtrainx$$
scratch=$(mktemp -d)
cleanup() {
    local user
    for user in "$owner" "$other"; do
        ! id "$user" >/dev/null 2>&1 || {
            pkill -KILL --uid "$user" 2>/dev/null || true
            # The next user that is made may have the same number.
            find /dev/shm -maxdepth 1 -user "$user" -exec rm -rf {} +
            userdel --force "$user" 2>/dev/null || true
        }
    done
    rm -rf -- "$scratch"
}
trap cleanup EXIT
for user in "$owner" "$other"; do useradd --no-create-home --home-dir "$scratch/$user" --shell /bin/sh "$user"; done
chmod 755 "$scratch"
# The build may lie where others may not look.
cp "$root/.build/release/dtrain" "$scratch/dtrain"
chmod 755 "$scratch/dtrain"
mkdir -m 1777 "$scratch/common"
for user in "$owner" "$other"; do
    mkdir -m 755 "$scratch/$user"
    chown "$user:" "$scratch/$user"
done

# as USER COMMAND...
as() {
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups env HOME="$scratch/$user" "$@"
}
# refused COMMAND...: as the other user; must fail.
refused() {
    ! as "$other" "$@" >"$scratch/tried" 2>&1 || fail "the other user may: $*: $(<"$scratch/tried")"
}

small=(--image-size 64x48 --hidden 64 --batch-size 12 --synthetic-frames 200 --synthetic-test-frames 6 --log-every 1)
# Two pretended nodes: records travel by UDP; snapshots lie in memory.
ranks=(env DTRAIN_RANKS_PER_NODE=1 mpirun -np 2 --oversubscribe --bind-to none "$scratch/dtrain" train "${small[@]}" --snapshot-every 1)

# --- Runs beside each other.
# Open MPI's mpiruns of one user share a directory in /tmp; one that ends may take it away from one that starts: each has its own.
run() {
    local mpi=$scratch/$1/mpi-${2##*/}
    as "$1" mkdir "$mpi"
    (cd "$scratch/$1" && as "$1" env OMPI_MCA_orte_tmpdir_base="$mpi" "${ranks[@]}" --steps 6 --run-dir "$2" >"$scratch/$1-${2##*/}.log" 2>&1)
}
run "$owner" alone || { cat "$scratch/$owner-alone.log"; fail "a user's run failed"; }
processes=()
for job in "$owner first" "$owner second" "$other third"; do
    # shellcheck disable=SC2086
    run $job &
    processes+=($!)
done
for process in "${processes[@]}"; do wait "$process" || fail "a run beside others failed: $(tail -n 5 "$scratch"/*.log)"; done
for job in "$owner/first" "$owner/second" "$other/third"; do
    [[ $(losses "$scratch/$owner/alone") == "$(losses "$scratch/$job")" ]] || fail "$job has other losses than alone"
done
[[ -z $(find /dev/shm -maxdepth 1 -name 'dtrain-*' \( -user "$owner" -o -user "$other" \)) ]] || fail "something is left in /dev/shm"

# --- A run that lasts, and a user who is curious.
run=$scratch/$owner/long
(cd "$scratch/$owner" && exec setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups env HOME="$scratch/$owner" DTRAIN_FAULT=stall:rank=1:step=40 \
    "${ranks[@]}" --steps 1000000 --checkpoint-every 10 --stall-timeout 6 --run-dir long >"$scratch/long.log" 2>&1) &
process=$!
await 60 grep -q '"step":39,' "$run/metrics.jsonl" || { cat "$scratch/long.log"; fail "the run does not get to step 39"; }
mapfile -t ports < <(awk -v user="$(id -u "$owner")" '$8 == user { split($2, at, ":"); print strtonum("0x" at[2]) }' /proc/net/udp 2>/dev/null ||
    python3 - "$(id -u "$owner")" <<'PYTHON'
import sys
for line in list(open("/proc/net/udp"))[1:]:
    fields = line.split()
    if fields[7] == sys.argv[1]:
        print(int(fields[1].split(":")[1], 16))
PYTHON
)
((${#ports[@]})) || fail "no UDP port of the run's"
# Floods of well-formed records and of noise: were they taken, the stalled run would seem to advance for ever.
as "$other" timeout 120 python3 - "${ports[@]}" >/dev/null 2>&1 <<'PYTHON' &
import os, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n = 0
while True:
    for port in map(int, sys.argv[1:]):
        for head in (struct.pack("<3Q", 0, 0, 1), struct.pack("<2Q", *struct.unpack("<2Q", os.urandom(16))) + struct.pack("<Q", 1)):
            s.sendto(head + struct.pack("<4Q", 1 << 32 | 2, 40, n, 0), ("127.0.0.1", port))
            s.sendto(head[:16] + struct.pack("<3Q", 2, n, 0), ("127.0.0.1", port))
        s.sendto(os.urandom(n % 1400), ("127.0.0.1", port))
    n += 1
    if n % 50 == 0:
        time.sleep(0.001)
PYTHON
flood=$!
since=$SECONDS

# Reading.
for name in '' config.yaml metrics.jsonl events.jsonl snapshots lock checkpoints checkpoints/step-00000030/state.json; do
    [[ -e $run/$name ]] || fail "the run has no $name"
    refused cat "$run/$name"
    refused ls "$run/$name"
done
mapfile -t kept < <(find /dev/shm -maxdepth 1 -name 'dtrain-snapshot-*' -user "$owner")
((${#kept[@]} == 1)) || fail "no snapshots of the run's: ${kept[*]}"
refused ls "${kept[0]}"
refused cat "${kept[0]}/own-0"
[[ $(stat --format %a "${kept[0]}" "${kept[0]}"/own-0) == $'700\n600' ]] || fail "modes of ${kept[0]}: $(ls -la "${kept[0]}")"
mapfile -t pids < <(pgrep --uid "$owner" -x dtrain)
for pid in "${pids[@]}"; do
    refused ls "/proc/$pid/fd"
    refused cat "/proc/$pid/environ"
    for file in /proc/"$pid"/fd/*; do
        target=$(readlink "$file" 2>/dev/null) || continue
        [[ $target != *memfd:dtrain* ]] || refused cat "$file"
    done
done
# Planting.
for name in stop metrics.jsonl checkpoints/step-99999999 lock snapshots; do
    refused touch "$run/$name"
    refused ln -sf /etc/passwd "$run/$name"
done
refused mkdir "${kept[0]}/more"
refused rm -rf "$run"
refused mv "${kept[0]}" /dev/shm/gone
refused kill "${pids[0]}"

# Spoofing: the stalled rank is noticed all the same, while the flood goes on; it takes a processor, so in no sharp time.
status=0
wait "$process" || status=$?
((SECONDS - since <= 60)) || fail "the spoofed run took $((SECONDS - since)) s to end"
kill "$flood" 2>/dev/null || true
[[ $status == 70 ]] && grep -q 'no progress for 6 s.*furthest behind: rank 1' "$scratch/long.log" ||
    fail "the stalled run ended with $status: $(tail -n 3 "$scratch/long.log")"

# --- Traps where everybody may put something.
(cd "$scratch/common" && as "$other" sh -c 'umask 0; mkdir trap; ln -s "$1" link; mkfifo pipe' sh "$scratch/$owner/first")
before=$(find "$scratch/$owner/first" -printf '%p %s %T@\n' | sort)
for name in trap link pipe; do
    status=0
    as "$owner" "$scratch/dtrain" train "${small[@]}" --steps 2 --resume auto --run-dir "$scratch/common/$name" >"$scratch/trap.log" 2>&1 || status=$?
    [[ $status == 1 && $(grep -c 'hint: ' "$scratch/trap.log") == 1 ]] || fail "the planted $name was not refused in one line ($status): $(<"$scratch/trap.log")"
done
[[ -z $(ls -A "$scratch/common/trap") && $before == "$(find "$scratch/$owner/first" -printf '%p %s %T@\n' | sort)" ]] || fail "a refused run wrote something"

# The snapshots' names are known by now: a start of the run goes by none that another user has put there.
rm -rf -- "${kept[0]}"
as "$other" sh -c 'umask 0; mkdir "$1" && printf x >"$1/own-0"' sh "${kept[0]}"
(cd "$scratch/$owner" && as "$owner" "${ranks[@]}" --steps 45 --checkpoint-every 10 --resume auto --run-dir long >"$scratch/again.log" 2>&1) ||
    { cat "$scratch/again.log"; fail "the run does not go on"; }
grep -q '^resumed: .*step-00000030, step 30' "$scratch/again.log" || fail "it did not go on from the checkpoint: $(grep resumed "$scratch/again.log")"
[[ $(cat "${kept[0]}/own-0") == x ]] || fail "another user's file was touched"
as "$other" rm -r "${kept[0]}"

# --- A directory that a group shares.
groupadd "$owner-g" && trap 'groupdel "$owner-g" 2>/dev/null || true; cleanup' EXIT
install -d -m 755 "$scratch/team"
install -d -m 2770 -o "$owner" -g "$owner-g" "$scratch/team/run"
member() { setpriv --reuid "$1" --regid "$(id -g "$1")" --groups "$(getent group "$owner-g" | cut -d : -f 3)" env HOME="$scratch/$1" sh -c 'umask 002; exec "$@"' sh "${@:2}"; }
member "$owner" "$scratch/dtrain" train "${small[@]}" --steps 4 --run-dir "$scratch/team/run" >"$scratch/team.log" 2>&1 || { cat "$scratch/team.log"; fail "the group's run failed"; }
member "$other" "$scratch/dtrain" train "${small[@]}" --steps 6 --resume auto --run-dir "$scratch/team/run" >"$scratch/team.log" 2>&1 ||
    { cat "$scratch/team.log"; fail "a member of the group cannot go on with its run"; }
grep -q 'resumed: .*step 4' "$scratch/team.log" || fail "the group's run did not go on"
groupdel "$owner-g"

say "two-users: runs beside each other are equal; nothing could be read, planted or spoofed"
