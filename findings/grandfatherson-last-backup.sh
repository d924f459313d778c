#!/usr/bin/env bash
# grandfatherson 1.3: a server that was off for longer than the windows loses its last backups.
#
# Windows are counted back from now, not from the newest backup: 7 days and 4 weeks keep nothing that is older than both.
# Its documentation shows daily backups without a gap.
# Expected by a person who keeps backups: the newest backup stays until a newer one exists.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check grandfatherson==1.3
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import date

from grandfatherson import dates_to_delete, dates_to_keep

backups = [date(2026, 1, 1), date(2026, 1, 2)]
rule = {"days": 7, "weeks": 4, "now": date(2026, 6, 1)}
kept, deleted = dates_to_keep(backups, **rule), dates_to_delete(backups, **rule)
print("kept", sorted(map(str, kept)), "deleted", sorted(map(str, deleted)))
assert not kept and set(deleted) == set(backups), "no longer as described"
print("as described: both are deleted, and no backup is left")
PYTHON
