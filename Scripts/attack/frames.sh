# shellcheck shell=bash
# A data set with damaged frames or labels, in ICVL's layout. A run meets the damage, ends with words that name the file,
# and has lost nothing that was saved; with the data set repaired it goes on to the undisturbed run's bits.
data_attacks=(damaged_frame skipped_frame swapped_frames damaged_labels)
attacks+=("${data_attacks[@]}")

frame_settings=(--hidden 16 --batch-size 6 --threads 1 --log-every 1 --validate-every 10 --checkpoint-every 1)

# make_data: a data set and the undisturbed runs on it, on 1 and 2 ranks; for those of the attacks that need it.
make_data() {
    [[ $(printf '%s\n' "${attacks[@]}" "${data_attacks[@]}" | sort | uniq -d) ]] || return 0
    start 1 synth "$references/data" --frames 60 --test-frames 6 --image-size 64x48
    expect_success
    start 1 synth "$references/other-data" --frames 2 --test-frames 1 --image-size 32x24
    expect_success
    local ranks
    for ranks in 1 2; do
        start "$ranks" "${frame_settings[@]}" --data "$references/data" --steps 20 --keep-checkpoints 100 \
            --run-dir "$references/data-$ranks"
        expect_success
    done
}

# copy_data: makes the round's own data set; $frames are its training frames, $frame is one of them.
copy_data() {
    cp -r -- "$references/data" "$round/data"
    mapfile -t frames < <(find "$round/data/Training" -name '*.png' | sort)
    choose "${frames[@]}"
    frame=$chosen
}

# train_frames RANKS ARGUMENT...
train_frames() {
    local ranks=$1
    shift
    start "$ranks" "${frame_settings[@]}" --data "$round/data" --steps 20 --run-dir "$round/run" "$@"
}

damage_frame() {
    local size
    size=$(stat -c %s -- "$frame")
    choose truncate empty flip size text directory fifo endless
    printf 'damage: %s to %s\n' "$chosen" "$frame" >&2
    case $chosen in
        truncate)
            # The end chunk is 12 bytes that hold nothing.
            draw $((size - 12))
            truncate -s "$drawn" -- "$frame"
            ;;
        empty) : >"$frame" ;;
        flip)
            # In the header or the picture's data; PNG has a checksum of each.
            draw $((size - 16 - 16))
            flip_bit "$frame" $((16 + drawn))
            ;;
        size) find "$references/other-data/Training" -name '*.png' -print -quit | xargs -I{} cp -- {} "$frame" ;;
        text) printf 'not a picture\n' >"$frame" ;;
        directory) rm -- "$frame" && mkdir -- "$frame" ;;
        fifo) rm -- "$frame" && mkfifo -- "$frame" ;;
        endless) ln -sf /dev/zero "$frame" ;;
    esac
}

attack_damaged_frame() {
    copy_data
    damage_frame
    choose 1 2
    local ranks=$chosen
    # The frame comes in the second epoch at the latest.
    train_frames "$ranks" --resume auto
    expect_refusal "${frame##*/}"
    # One that a validation ends is saved without the held-out error, which the resumed run makes up for.
    local saved
    while read -r saved; do
        cmp -s -- "$round/run/$saved" "$references/data-$ranks/$saved" || broken "$saved differs from the undisturbed run's"
    done < <(cd -- "$round/run" && find checkpoints -name '*.safetensors' -type f)
    rm -rf -- "$frame"
    cp -- "$references/data${frame#"$round/data"}" "$frame"
    train_frames "$ranks" --resume auto
    expect_success
    expect_same_data_run "$ranks"
    record lost 0
}

expect_same_data_run() {
    local steps=20
    expect_same_run "$round/run" "$references/data-$1"
}

attack_skipped_frame() {
    copy_data
    damage_frame
    choose 1 2
    train_frames "$chosen" --on-bad-sample skip
    expect_success
    expect_words "skipped" "${frame##*/}"
    record lost 0
}

# Two frames in each other's place are good frames: nothing can tell; it must do no more than move the losses.
attack_swapped_frames() {
    copy_data
    local first=$frame other
    other=${frames[0]}
    [[ $other != "$first" ]] || other=${frames[1]}
    mv -- "$first" "$round/frame"
    mv -- "$other" "$first"
    mv -- "$round/frame" "$other"
    choose 1 2
    train_frames "$chosen"
    expect_success
    grep -q '"step":20,' "$round/run/metrics.jsonl" || broken "step 20 is not in the metrics"
    record lost 0
}

attack_damaged_labels() {
    copy_data
    local labels line lines text
    labels=$(find "$round/data/Training" -name 'labels.txt')
    lines=$(wc -l <"$labels")
    draw "$lines"
    line=$((drawn + 1))
    choose outside absolute few many words infinite huge bytes no-frame missing directory
    printf 'damage: %s to line %d of %s\n' "$chosen" "$line" "$labels" >&2
    case $chosen in
        outside) sed -i "${line}s|^[^ ]*|../../../../etc/passwd|" "$labels" ;;
        absolute) sed -i "${line}s|^[^ ]*|/etc/passwd|" "$labels" ;;
        few) sed -i "${line}s/ [^ ]* *$//" "$labels" ;;
        many) sed -i "${line}s/ *$/ 1.0 2.0/" "$labels" ;;
        words) sed -i "${line}s/ [^ ]*/ many/7" "$labels" ;;
        infinite) sed -i "${line}s/ [^ ]*/ inf/7" "$labels" ;;
        huge) sed -i "${line}s/ [^ ]*/ 1e999/7" "$labels" ;;
        bytes) head -c 3000 /dev/urandom >>"$labels" ;;
        no-frame) sed -i "${line}s|^[^ ]*|no/such_frame.png|" "$labels" ;;
        missing) rm -- "$labels" ;;
        directory) rm -- "$labels" && mkdir -- "$labels" ;;
    esac
    choose 1 2
    text=$(tree "$round/data")
    train_frames "$chosen"
    expect_refusal
    [[ $(tree "$round/data") == "$text" ]] || broken "the data set was changed"
    ! has "$round/run/checkpoints/step-*" || broken "a refused run has written a checkpoint"
}
