# shellcheck shell=bash
# Storage that refuses: a full disk, a read-only one. The disk is a small tmpfs in a mount namespace of the round's own,
# which ends with the round.
attacks+=(full_disk full_disk_at_start read_only)

# in_own_mounts FUNCTION: runs the function in this round's own mount namespace.
in_own_mounts() {
    local unshare=(unshare --mount)
    ((EUID == 0)) || unshare+=(--map-root-user)
    "${unshare[@]}" true 2>/dev/null || skipped "no mount namespaces here (unshare)"
    mkdir -- "$round/disk"
    "${unshare[@]}" bash "$here/round.sh" "$1" "$RANDOM" "$round" || exit
}

# small_disk KIB
small_disk() { mount -t tmpfs -o "size=${1}k" none "$round/disk" || skipped "no tmpfs can be mounted here"; }

# KiB of a checkpoint of the attacked network.
checkpoint_size() { du -sk "$(find "$references/1/checkpoints" -mindepth 1 -maxdepth 1 -name 'step-*' | sort | tail -n 1)" | cut -f 1; }

# make_room: on the disk, for a whole run.
make_room() { mount -o "remount,rw,size=$((20 * $(checkpoint_size) + 100000))k" "$round/disk"; }

# Room for two or three checkpoints: the run meets ENOSPC somewhere within one. What it saved before is whole, and with
# room again it goes on to the same bits.
attack_full_disk() { in_own_mounts on_full_disk; }
attack_on_full_disk() {
    local run=$round/disk/run size
    size=$(checkpoint_size)
    draw "$size"
    small_disk $((100 + 2 * size + drawn))
    choose 1 2
    local ranks=$chosen
    train "$ranks" "$run" --checkpoint-every 5 --keep-checkpoints 100
    expect_refusal 'No space left on device'
    expect_same_checkpoints "$run" "$references/$ranks"
    record_lost "$run"
    make_room
    finish "$ranks" "$run" --checkpoint-every 5
}

# Not even room for the lock or the first checkpoint.
attack_full_disk_at_start() { in_own_mounts on_full_disk_at_start; }
attack_on_full_disk_at_start() {
    draw 20
    small_disk $((drawn * 4 + 4))
    train 1 "$round/disk/run" --checkpoint-every 5
    expect_refusal 'No space left on device'
    make_room
    finish 1 "$round/disk/run" --checkpoint-every 5
    record lost 0
}

# A directory that became read-only: a run in it, new or resumed, is refused, and nothing in it changes.
attack_read_only() { in_own_mounts on_read_only; }
attack_on_read_only() {
    local run=$round/disk/run before
    small_disk $((10000 + 20 * $(checkpoint_size)))
    half_run 1 "$run"
    before=$(tree "$run")
    mount -o remount,ro "$round/disk"
    choose 1 2
    train "$chosen" "$run" --resume auto
    expect_refusal 'read-only'
    train "$chosen" "$round/disk/new"
    expect_refusal 'read-only'
    [[ $(tree "$run") == "$before" ]] || broken "a read-only directory was changed"
    make_room
    finish 1 "$run" --checkpoint-every 20
    record lost 0
}
