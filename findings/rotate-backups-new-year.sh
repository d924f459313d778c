#!/usr/bin/env bash
# rotate-backups 8.1, --weekly with --prefer-recent: the newest backup is deleted at New Year.
#
# It names a week by the calendar year and the ISO week number. 29 December 2025 lies in ISO week 1 of 2026, so that
# its name becomes week 1 of 2025: the oldest week of all, and its backup goes first.
# Its help says of --prefer-recent that the most recent backup of each time slot is kept.
# Expected: of four weekly backups with three to keep, the oldest goes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rotate-backups==8.1
for day in 2025-12-08 2025-12-15 2025-12-22 2025-12-29; do mkdir -p "$folder/backups/server-$day-0100"; done
seen=$("$folder/venv/bin/rotate-backups" --dry-run --prefer-recent --weekly=3 "$folder/backups" 2>&1 |
  sed -nE "s#.*INFO (Preserving|Deleting) $folder/backups/([^ ]*).*#\1 \2#p")
echo "$seen"
[ "$(grep -c ^Deleting <<<"$seen")" = 1 ] && grep -qx 'Deleting server-2025-12-29-0100' <<<"$seen" &&
  echo 'as described: the newest of four is deleted'
