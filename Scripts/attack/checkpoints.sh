# shellcheck shell=bash
# Damaged checkpoints: `--resume auto` names the damaged one, goes on from the newest good one, and ends with the
# undisturbed run's bits; a path given, and a run without any good one, are refused and nothing is changed.
attacks+=(damage_newest damage_given damage_all)

# flip_bit FILE OFFSET: another value for a random bit of a byte.
flip_bit() {
    local file=$1 offset=$2 byte
    byte=$(od -An -tu1 -j "$offset" -N 1 -- "$file")
    draw 8
    printf 'bit %d of byte %d of %s\n' "$drawn" "$offset" "$file" >&2
    # shellcheck disable=SC2059
    printf "\\x$(printf '%02x' $((byte ^ 1 << drawn)))" | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
}

# A run that stands at step 60, with checkpoints of steps 20, 40 and 60. half_run RANKS RUN
half_run() {
    start "$1" "${settings[@]}" --steps 60 --checkpoint-every 20 --run-dir "$2"
    expect_success
}

# damage CHECKPOINT: one of the things that can happen to it.
damage() {
    local checkpoint=$1 file size
    choose model optimizer
    file=$checkpoint/$chosen.safetensors
    size=$(stat -c %s -- "$file")
    choose length json tensors state truncate truncate-state empty missing missing-state swap older header zeros directory \
        fifo link not-a-directory renamed
    printf 'damage: %s to %s\n' "$chosen" "$file" >&2
    case $chosen in
        length)
            draw 8
            flip_bit "$file" "$drawn"
            ;;
        json)
            draw "$(od -An -tu4 -N 4 -- "$file")"
            flip_bit "$file" $((8 + drawn))
            ;;
        tensors)
            local header
            header=$(od -An -tu4 -N 4 -- "$file")
            draw $((size - header - 8))
            flip_bit "$file" $((header + 8 + drawn))
            ;;
        state)
            draw "$(stat -c %s -- "$checkpoint/state.json")"
            flip_bit "$checkpoint/state.json" "$drawn"
            ;;
        truncate)
            draw "$size"
            truncate -s "$drawn" -- "$file"
            ;;
        truncate-state)
            draw "$(stat -c %s -- "$checkpoint/state.json")"
            truncate -s "$drawn" -- "$checkpoint/state.json"
            ;;
        empty) : >"$file" ;;
        missing) rm -- "$file" ;;
        missing-state) rm -- "$checkpoint/state.json" ;;
        swap)
            mv -- "$checkpoint/model.safetensors" "$round/model"
            mv -- "$checkpoint/optimizer.safetensors" "$checkpoint/model.safetensors"
            mv -- "$round/model" "$checkpoint/optimizer.safetensors"
            ;;
        older) cp -- "$references/1/checkpoints/step-00000019/${file##*/}" "$file" ;;
        header) printf '\xff\xff\xff\xff\xff\xff\xff\x7f' | dd of="$file" bs=1 conv=notrunc status=none ;;
        zeros) dd if=/dev/zero of="$file" bs="$size" count=1 conv=notrunc status=none ;;
        directory) rm -- "$file" && mkdir -- "$file" ;;
        fifo) rm -- "$file" && mkfifo -- "$file" ;;
        link) rm -- "$file" && ln -s /dev/zero "$file" ;;
        not-a-directory) rm -r -- "$checkpoint" && : >"$checkpoint" ;;
        renamed) rm -r -- "$checkpoint" && cp -r -- "$references/1/checkpoints/step-00000019" "$checkpoint" ;;
    esac
}

attack_damage_newest() {
    local run=$round/run
    choose 1 2 3
    local ranks=$chosen
    half_run "$ranks" "$run"
    damage "$run/checkpoints/step-00000060"
    train "$ranks" "$run" --checkpoint-every 20 --keep-checkpoints 10 --resume auto
    expect_success
    expect_words 'damaged checkpoint passed over' 'step-00000060' 'step-00000040, step 40'
    expect_same_run "$run" "$references/$ranks"
    record lost 20
}

attack_damage_given() {
    local run=$round/run before
    choose 1 2
    local ranks=$chosen
    half_run "$ranks" "$run"
    damage "$run/checkpoints/step-00000060"
    before=$(tree "$run")
    start "$ranks" "${settings[@]}" --steps "$steps" --resume "$run/checkpoints/step-00000060"
    expect_refusal 'step-00000060'
    [[ $(tree "$run") == "$before" ]] || broken "a refused run changed $run"
    finish "$ranks" "$run" --checkpoint-every 20
    record lost 20
}

attack_damage_all() {
    local run=$round/run before step
    half_run 1 "$run"
    for step in 20 40 60; do damage "$run/checkpoints/step-000000$step"; done
    before=$(tree "$run")
    train 1 "$run" --resume auto
    expect_refusal 'every checkpoint is damaged' step-00000020 step-00000040 step-00000060
    [[ $(tree "$run") == "$before" ]] || broken "a refused run changed $run"
}

# tree RUN: names, kinds, sizes and contents of all files.
tree() {
    (
        cd -- "$1" || exit
        find . -printf '%p %y %l\n' | sort
        find . -type f -print0 | sort -z | xargs -0 -r sha256sum
    )
}
