# Shared by the scripts that measure peers, which source it after Scripts/setup.sh.
# shellcheck shell=bash

# "Tuned": glibc keeps and reuses the memory that a program frees, instead of giving it back and taking fresh pages, zeroed
# by the kernel, at each step.
# shellcheck disable=SC2034
tuned=(env MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456)

# Presets of crops with the batches that their recipes train with, and those of them that were chosen.
declare -A preset_batch=([deepprior]=128 [ren]=128 [dense]=32 [dtrain-hand]=32)
presets=()

# choose_presets NAMES: those of the option --preset.
choose_presets() {
    local preset
    read -ra presets <<<"$1"
    ((${#presets[@]})) || fail "--preset needs names. hint: --preset \"${!preset_batch[*]}\""
    for preset in "${presets[@]}"; do
        [[ -v preset_batch[$preset] ]] || fail "no preset '$preset' here. hint: ${!preset_batch[*]}"
    done
}

# Measurements that name the same file in MEASURE_LOCK take turns.
# measure DIRECTORY NAME COMMAND...: runs it and keeps the JSON, its last line that starts with a brace, as NAME.json.
measure() {
    local file=$1/$2 name=$2
    shift 2
    rm -f -- "$file.json"
    local lock=()
    [[ -n ${MEASURE_LOCK:-} ]] && lock=(flock -x "$MEASURE_LOCK")
    "${lock[@]}" "$@" >"$file.log" 2>&1 || fail "failed: $*. hint: see $file.log"
    grep '^{' "$file.log" | tail -n 1 >"$file.json" || true
    [[ -s $file.json ]] || fail "no JSON from: $*. hint: see $file.log"
    say "$name: $(grep -o '"median_s": *[0-9.]*' "$file.json")"
}
