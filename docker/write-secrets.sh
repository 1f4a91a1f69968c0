#!/usr/bin/env bash
# Writes docker/.env with random secrets on first use; leaves one that is there alone.
set -euo pipefail
cd "$(dirname "$0")"
[ -e .env ] && exit 0
umask 077
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
{
  echo "# Written by docker/write-secrets.sh. Keep it to yourself; .env.example says what else may be set here."
  for name in POSTGRES_PASSWORD MLFLOW_PASSWORD MLFLOW_SECRET_KEY RAY_AUTH_TOKEN; do
    echo "$name=$(random)"
  done
} > .env.new
mv .env.new .env
echo "wrote docker/.env: random secrets of this deployment"
