#!/usr/bin/env bash
# Makes a Python environment for the plots and the peers' programs in .python/ of the package, and installs the given
# requirements into it. dtrain itself needs no Python.
#
# Usage: Scripts/python-env.sh [REQUIREMENTS.txt ...]      default: Scripts/requirements.txt
# Prints the path of the environment's python.
set -euo pipefail
# shellcheck source=Scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

files=("$@")
(($#)) || files=("$root/Scripts/requirements.txt")
for file in "${files[@]}"; do
    [[ -r $file ]] || fail "$file cannot be read. hint: name a requirements file, or none for Scripts/requirements.txt"
done
environment=$root/.python

command -v python3 >/dev/null || fail "no python3 on PATH. hint: sudo apt-get install -y python3 python3-venv"
if [[ ! -x $environment/bin/python ]]; then
    say "making a Python environment in $environment"
    rm -rf -- "$environment"
    python3 -m venv "$environment" >&2 || fail "python3 -m venv failed. hint: sudo apt-get install -y python3-venv"
fi

for file in "${files[@]}"; do
    # A copy of what was installed tells whether there is anything to do.
    installed=$environment/installed-$(cksum <<<"$(readlink -f -- "$file")" | cut -d ' ' -f 1).txt
    cmp -s -- "$file" "$installed" && continue
    say "installing $file: $(grep -v '^#' "$file" | tr '\n' ' ')"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$file" >&2 ||
        fail "pip install failed. hint: its own message stands above"
    cp -- "$file" "$installed"
done
printf '%s\n' "$environment/bin/python"
