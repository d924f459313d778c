# ruff: noqa: T201 - a command prints to stdout
"""Run the contract cases on the real guest in a real PowerShell, and record its answers.

``python -m tests.guest.contracts`` runs all and compares with the recordings; ``--record`` writes them; further
arguments choose cases by a part of their name. ``--changed`` runs those whose recording was made with other scripts
of the guest, other stand-ins or other steps, and a sample of the rest (docs/decisions/0009-contracts-by-key.md), with
``--seed`` a third of that sample, chosen by the seed.
Without ``pwsh`` on the PATH it says so and changes nothing.
"""

import argparse
import hashlib
import json
import random
import sys
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path

from guest.document import made, read_parts, scripts
from quiesce.guest.documents import LOOK, MEND
from tests.guest import cases
from tests.guest.cases import Case, Json
from tests.guest.machine import STANDINS
from tests.guest.running import Job, Runner, by_name, found_pwsh, names_account

RECORDINGS = Path(__file__).with_name("recordings.json")


@cache
def surroundings(names: frozenset[str]) -> bytes:
    """Return the SHA-256 over these of the guest's scripts, and the stand-ins that they may meet.

    What changes Windows is in a folder of its own: no script but the one that mends calls it.
    """
    digest = hashlib.sha256()
    standins = sorted(path for path in STANDINS.rglob("*") if path.suffix in (".py", ".psm1"))
    standins = [path for path in standins if "mend" in names or "mending" not in path.parts]
    for name, script in scripts(read_parts()).items():
        if name in names:
            digest.update(script.encode())
    for file in standins:
        digest.update(file.read_bytes())
    return digest.digest()


def scripts_of(case: Case) -> frozenset[str]:
    """Return which of the guest's scripts a case runs; a session's own comes with the document that acts."""
    together = [each for step in case.steps for each in step.get("together", ())]
    names = {str(step[name]) if name == "begin" else name for step in [*case.steps, *together] for name in step}
    verbs = names & {*cases.VERBS}
    looks, mends, acts = verbs & {*LOOK}, verbs & {*MEND}, verbs - {*LOOK, *MEND}
    others = [*(["look"] if looks else []), *(["mend"] if mends else [])]
    packed = ["quiesce", "account"] if names_account(case) else ["quiesce"]
    return frozenset([*others, *(["act", *packed] if acts or not others else [])])


def key_of(case: Case) -> str:
    """Return the key of a case's recording: a short hash over its steps, its scripts of the guest and the stand-ins."""
    steps = {name: value for name, value in asdict(case).items() if name not in ("sample", "alone", "takes_s")}
    text = json.dumps(steps, sort_keys=True)
    return hashlib.sha256(surroundings(scripts_of(case)) + text.encode()).hexdigest()[:16]


def recorded() -> dict[str, Json]:
    """Return the recordings: the records and their keys, by name of the case."""
    return json.loads(RECORDINGS.read_text()) if RECORDINGS.exists() else {"keys": {}, "cases": {}}


def chosen_cases(known: list[Case], parts: list[str], *, changed: bool, seed: str = "") -> list[Case]:
    """Return the cases with one of the parts in their name, or all; if ``changed``, only changed ones and samples."""
    keys = recorded()["keys"]
    named = [case for case in known if not parts or any(part in case.name for part in parts)]
    sample = [case.name for case in named if case.sample]
    if seed:
        sample = random.Random(seed).sample(sample, -(-len(sample) // 3))
    return [case for case in named if not changed or case.name in sample or keys.get(case.name) != key_of(case)]


def unlike(recording: Json, record: Json) -> list[str]:
    """Return how a record differs from the recording, field by field, in both directions."""
    if recording is None:
        return ["not recorded yet"]
    missing = cases.differences(recording, record, "not as recorded: ")
    return [*missing, *cases.differences(record, recording, "the other way round: ")]


def recording_text(recordings: dict[str, Json]) -> str:
    """Return the recordings with one line for each answer and each end, so that a diff shows a change line by line."""
    lines = []
    for name, record in sorted(recordings["cases"].items()):
        answers = ",\n   ".join(json.dumps(answer, sort_keys=True) for answer in record["answers"])
        end = json.dumps(record["end"], sort_keys=True)
        lines.append(f'  {json.dumps(name)}: {{"answers": [\n   {answers}],\n   "end": {end}}}')
    cases_text = ",\n".join(lines)
    keys = json.dumps(recordings["keys"], sort_keys=True, indent=2)
    return f'{{"keys": {keys},\n "cases": {{\n{cases_text}\n }}\n}}\n'


def write_recordings(before: dict[str, Json], good: dict[str, Json], keys: dict[str, str], known: set[str]) -> None:
    """Write the good records with their keys; keep those of cases that did not run, drop those without a case."""
    records = before["cases"] | good
    made_with = before["keys"] | {name: keys[name] for name in good}
    cases_kept = {name: record for name, record in records.items() if name in known}
    keys_kept = {name: key for name, key in made_with.items() if name in known}
    RECORDINGS.write_text(recording_text({"keys": keys_kept, "cases": cases_kept}))


def main() -> int:
    """Run the chosen cases; return 1 if a case failed or a record differs from its recording."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the recordings")
    parser.add_argument("--changed", action="store_true", help="only changed cases, and a sample")
    parser.add_argument("--seed", default="", help="of the sample a third, chosen by this")
    parser.add_argument("--alone", action="store_true", help="every verb and task in a process of its own")
    parser.add_argument("parts", nargs="*", help="only cases with this in their name")
    options = parser.parse_args()
    pwsh = found_pwsh()
    if pwsh is None:
        print("contracts: not run, no pwsh on the PATH; the recordings are unchanged")
        return 0
    known = cases.load()
    chosen = chosen_cases(known, options.parts, changed=options.changed, seed=options.seed)
    began = time.monotonic()
    keys = {case.name: key_of(case) for case in chosen}
    before, good, failed = recorded(), {}, 0
    texts = by_name(made(read_parts()))
    # Of all cases the sample shares, too: each commit's check runs it apart, and compares.
    with Runner(pwsh, alone=options.alone, sample_apart=options.changed) as runner:
        results = runner.run_all(Job(case, texts) for case in chosen)
        for name, (record, wrong) in zip(keys, results, strict=True):
            problems = wrong if wrong or options.record else unlike(before["cases"].get(name), record)
            failed += bool(problems)
            print("FAIL" if problems else "ok  ", name, *problems, sep="\n       " if problems else " ", flush=True)
            if not problems:
                good[name] = record
                if options.record:  # at once: what is recorded stays, whatever ends the run
                    write_recordings(before, good, keys, {case.name for case in known})
        for name in runner.ended:
            print(f"contracts: the shared PowerShell ended by itself, so this ran again without it: {name}")
    left = f", {len(known) - len(chosen)} not run" if options.changed else ""
    print(f"contracts: {len(chosen)} cases, {failed} failed, {time.monotonic() - began:.0f} s{left}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
