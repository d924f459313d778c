# ruff: noqa: T201 - a command speaks on stdout
"""Run the contract cases on the real guest in a real PowerShell, and record what it answered.

``python -m tests.guest.contracts`` runs all and compares with the recordings; ``--record`` writes them; further
arguments choose cases by a part of their name. Without ``pwsh`` on the PATH it says so and changes nothing.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.guest import cases
from tests.guest.cases import Case, Json
from tests.guest.machine import GUEST, Machine
from tests.guest.metadata import Metadata
from tests.guest.real_server import RealServer

RECORDINGS = Path(__file__).with_name("recordings.json")
# Most of a case is waiting, so more cases than cores run at once.
AT_ONCE = 2 * (os.cpu_count() or 1)


def guest_hash() -> str:
    """Return the SHA-256 over the guest's files: what the recordings were made with."""
    digest = hashlib.sha256()
    for name in ("quiesce.ps1", "document.yaml"):
        digest.update((GUEST / name).read_bytes())
    return digest.hexdigest()


def run_case(
    case: Case, document: str, pwsh: str, metadata: Metadata, look: Callable[[Machine], None] = lambda _: None
) -> tuple[Json, list[str]]:
    """Run one case on a machine of its own; return its record and what was wrong. ``look`` sees the machine last."""
    home = Path(tempfile.mkdtemp(prefix="machine-"))
    server = RealServer(case, home, document, metadata, pwsh)
    try:
        record, wrong = cases.run(case, server, str(home))
        return record, wrong + list(cases.differences(case.see_real, record["end"], "end"))
    except AssertionError as error:
        return None, [str(error)]
    finally:
        look(server.machine)
        server.close()


def run_all(chosen: list[Case], document: str, pwsh: str) -> Iterator[tuple[str, Json, list[str]]]:
    """Run the cases side by side; yield each one's name, record and what was wrong, in their order."""
    metadata = Metadata()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = pool.map(lambda case: run_case(case, document, pwsh, metadata), chosen)
        for case, (record, wrong) in zip(chosen, results, strict=True):
            yield case.name, record, wrong


def recorded() -> dict[str, Json]:
    """Return the recordings: the hash they belong to, and each case's record."""
    return json.loads(RECORDINGS.read_text()) if RECORDINGS.exists() else {"guest": "", "cases": {}}


def unlike(recording: Json, record: Json) -> list[str]:
    """Return how a record is not what was recorded, field by field, in both directions."""
    missing = cases.differences(recording, record, "not as recorded: ")
    return [*missing, *cases.differences(record, recording, "the other way round: ")]


def recording_text(recordings: dict[str, Json]) -> str:
    """Return the recordings with one line for each answer and each end, so that a change is read line by line."""
    lines = []
    for name, record in sorted(recordings["cases"].items()):
        answers = ",\n   ".join(json.dumps(answer, sort_keys=True) for answer in record["answers"])
        end = json.dumps(record["end"], sort_keys=True)
        lines.append(f'  {json.dumps(name)}: {{"answers": [\n   {answers}],\n   "end": {end}}}')
    cases_text = ",\n".join(lines)
    return f'{{"guest": {json.dumps(recordings["guest"])},\n "cases": {{\n{cases_text}\n }}\n}}\n'


def main() -> int:
    """Run what was asked for; return 1 if a case failed or a record is not what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the recordings")
    parser.add_argument("parts", nargs="*", help="only cases with this in their name")
    options = parser.parse_args()
    pwsh = shutil.which("pwsh")
    if pwsh is None:
        print("contracts: no pwsh on the PATH, so the real PowerShell was not asked; the recordings stand")
        return 0
    known = cases.load()
    chosen = [case for case in known if not options.parts or any(part in case.name for part in options.parts)]
    began = time.monotonic()
    asked, before, good, failed = guest_hash(), recorded()["cases"], {}, 0
    for name, record, wrong in run_all(chosen, (GUEST / "document.yaml").read_text(), pwsh):
        problems = wrong if wrong or options.record else unlike(before.get(name), record)
        failed += bool(problems)
        print("FAIL" if problems else "ok  ", name, *problems, sep="\n       " if problems else " ", flush=True)
        if not problems:
            good[name] = record
    if options.record:
        kept = {case.name: before[case.name] for case in known if case.name in before}
        RECORDINGS.write_text(recording_text({"guest": asked, "cases": kept | good}))
    print(f"contracts: {len(chosen)} cases, {failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
