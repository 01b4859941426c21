#!/bin/bash
# Where hands rendered around ICVL's real test poses lie, against the real frames' centres of mass (whole frame, d at most 500 mm).
#
#   Scripts/centres.sh [SYNTH-ARGUMENT...]     such as --hands first
#
# Needs the real test labels and centres in DTRAIN_SHARED/icvl (default: ../shared/icvl beside the package); says so where they are absent.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${DTRAIN_SHARED:-$PWD/../shared}/icvl
dtrain=${DTRAIN:-.build/release/dtrain}
if [ ! -f "$shared/icvl_test_com.txt" ] || [ ! -f "$shared/test_seq_1.txt" ]; then
    echo "skipped: no icvl_test_com.txt and test_seq_1.txt in $shared; hint: set DTRAIN_SHARED"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat "$shared/test_seq_1.txt" "$shared/test_seq_2.txt" > "$work/both.txt"
head -n 702 "$shared/icvl_test_com.txt" > "$work/com_1.txt"
tail -n +703 "$shared/icvl_test_com.txt" > "$work/com_2.txt"
echo "test_seq_1 (the fit's in y and z):"
"$dtrain" synth --poses "$shared/test_seq_1.txt" --centres "$work/com_1.txt" "$@"
echo "test_seq_2:"
"$dtrain" synth --poses "$shared/test_seq_2.txt" --centres "$work/com_2.txt" "$@"
echo "both:"
"$dtrain" synth --poses "$work/both.txt" --centres "$shared/icvl_test_com.txt" "$@"
