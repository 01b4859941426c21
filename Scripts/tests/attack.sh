#!/usr/bin/env bash
# The attack suite's short form: every attack once, on processes of their own. The long form is Scripts/attack.sh MINUTES.
set -euo pipefail
exec "$(dirname -- "${BASH_SOURCE[0]}")/../attack.sh" 0
