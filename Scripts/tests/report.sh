#!/usr/bin/env bash
# The pages of `dtrain report` in a real browser without a window: nothing on its console, no horizontal scroll on a phone of 390
# pixels, values under the pointer, and a picture that is dark where the system is. Skipped without Chromium (apt: chromium).
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../setup.sh"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [[ -z $browser ]]; then
    say "report: skipped, no Chromium. hint: sudo apt-get install -y chromium"
    exit 0
fi
dtrain=$root/.build/release/dtrain
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
cd -- "$scratch"

small=(--image-size 64x48 --hidden 64 --batch-size 20 --synthetic-frames 400 --synthetic-test-frames 60 --steps 200 --validate-every 20)
"$dtrain" "${small[@]}" --run-dir a-run-with-quite-a-long-name --trace 100-104 --report >log
"$dtrain" "${small[@]}" --preset seed-verbatim --run-dir zero >log
"$dtrain" report a-run-with-quite-a-long-name zero
cp -- a-run-with-quite-a-long-name/report.html one.html
grep -q '<title>forward FC1: ' one.html || fail "the page shows no traced step"

# The page in a frame as wide as a phone's screen: browsers without a window have a least width of their own.
# $1: page   $2: width
check() {
    cat >frame.html <<END
<body style="margin:0"><iframe id=f src="$1" style="width:$2px;height:3000px;border:0"></iframe><script>
f.onload = function () {
    var d = f.contentDocument, area = d.querySelector('.area'), box = area.getBoundingClientRect();
    area.dispatchEvent(new PointerEvent('pointermove', {clientX: box.left + box.width / 2, clientY: box.top + 9}));
    console.log('RESULT ' + (d.documentElement.scrollWidth <= $2) + ' ' + d.querySelectorAll('svg path.line').length + ' '
        + d.querySelector('.tip').textContent);
}
</script>
END
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --allow-file-access-from-files --enable-logging=stderr \
        --user-data-dir="$scratch/profile" --virtual-time-budget=5000 --window-size=1200,3000 "${@:3}" \
        --screenshot=shot.png "file://$scratch/frame.html" >browser.log 2>&1 || { cat browser.log; fail "the browser failed"; }
    grep -q 'CONSOLE.*RESULT true [1-9][0-9]* step [0-9]' browser.log ||
        { grep CONSOLE browser.log || cat browser.log; fail "$1 at $2 pixels: it scrolls sideways, or shows no curve or no values"; }
    (($(grep -c CONSOLE browser.log) == 1)) || { grep CONSOLE browser.log; fail "$1 at $2 pixels: there are messages on the console"; }
}

for page in one.html comparison.html; do
    for width in 390 1100; do check "$page" "$width"; done
    cp shot.png light.png
    check "$page" 1100 --blink-settings=preferredColorScheme=0
    cmp -s light.png shot.png && fail "$page: dark looks as light does"
    size=$(stat -c %s -- "$page")
    ((size < 3000000)) || fail "$page: $size bytes"
    if grep -nE '(src|href)="?https?:' "$page"; then fail "$page: loads from elsewhere"; fi
done
exit 0
