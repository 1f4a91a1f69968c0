#!/usr/bin/env bash
# Runs pip so that one sees how far it is: its own bars on a terminal, some lines elsewhere.
# usage: show-installation.sh NUMBER-OF-PACKAGES COMMAND...
set -euo pipefail
total=$1
shift
if [ -t 1 ]; then exec "$@"; fi
found=0
"$@" --progress-bar off | while IFS= read -r line; do
  case $line in
    Collecting*|"Requirement already satisfied"*)
      found=$((found + 1))
      if [ $((found % 40)) -eq 0 ]; then echo "  $found of $total packages"; fi ;;
    *Downloading*\ GB\)|*Downloading*[0-9][0-9][0-9].[0-9]\ MB\)) echo "  ${line#"${line%%[![:space:]]*}"}" ;;
    "Installing collected packages"*) echo "  unpacking" ;;
  esac
done
