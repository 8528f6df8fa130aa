#!/usr/bin/env bash
# Make the secrets of docker-compose.yml, one file each, with random values. Existing files are kept.
#
#   scripts/secrets.sh [FOLDER]     default: deploy/secrets
#
# The folder is its owner's alone. The files in it are readable by all, because processes of other users read them inside
# containers, where the folder does not protect them and nobody else is.
set -euo pipefail

folder=${1:-$(dirname "${BASH_SOURCE[0]}")/../deploy/secrets}
umask 077
mkdir -p "$folder"

write() { # $1: the name, $2: the value, without a line break, which some programs would take for a part of it
  [ -s "$folder/$1" ] || printf %s "$2" >"$folder/$1"
  chmod 444 "$folder/$1"
}

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

for name in api_key postgres_password kafka_password grafana_password; do
  write "$name" "$(random)"
done
write alert_webhook http://receiver.invalid/alerts # where Alertmanager posts: replace it with yours
