#!/usr/bin/env bash
# Prints the unit tests of what changed since the last commit, or in it when nothing has changed since: the test file that
# mirrors a source file, else the folder that mirrors its folder.
set -euo pipefail
cd "$(dirname "$0")/.."
changed=$(git diff --name-only HEAD; git ls-files --others --exclude-standard)
[ -n "$changed" ] || changed=$(git diff --name-only HEAD~1)
for file in $changed; do
  case $file in
    tests/unit/*.py | tests/contract/test_*.py) [ ! -e "$file" ] || echo "$file" ;;
    sweeps/*.py | trainer/*.py | tracking/*.py)
      mirrored=tests/unit/$(dirname "$file")
      own=$mirrored/test_$(basename "$file")
      if [ -e "$own" ]; then echo "$own"; elif [ -d "$mirrored" ]; then echo "$mirrored"; fi
      case $file in
        sweeps/search/*) echo tests/contract/test_methods.py ;;
        sweeps/stopping/*) echo tests/contract/test_rules.py ;;
      esac ;;
    sweeps/* | README.md) echo tests/unit/sweeps/test_examples.py ;;
  esac
done | sort -u
