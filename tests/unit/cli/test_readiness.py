"""What ``quiesce doctor`` shows of the stack's own doctor: what servers lack, and never as good what is not known."""

from datetime import UTC, datetime

import pytest
from quiesce_cli.answers.readiness import readiness
from quiesce_cli.answers.shapes import Check

from quiesce.doctor.findings import LEVELS, Ready
from quiesce.doctor.state import Latest, Summary
from quiesce.policy.file import read_policy
from quiesce.policy.selection import Candidate
from quiesce.policy_run.resolving import resolve
from tests.support.factories.policy import a_policy

AT = datetime(2026, 11, 29, tzinfo=UTC)
FIRST, SECOND = "i-0aaaaaaaaaaaaaaa0", "i-0bbbbbbbbbbbbbbb1"


def summary(server: str, ready: Ready, changes: tuple[str, ...] = (), *, allowed: bool = False) -> Summary:
    return Summary(
        instance_id=server,
        name="WEB",
        at=AT,
        execution="e",
        best="crash",
        ready=dict.fromkeys(LEVELS, ready),
        lacks={level: ["service VSS"] for level in LEVELS},
        changes=list(changes),
        may_be_changed=allowed,
    )


def checks(*summaries: Summary) -> list[Check]:
    data = {**a_policy(FIRST, name="nightly", vss={}), "targets": [{"instance_id": FIRST}, {"instance_id": SECOND}]}
    policy = read_policy(data, "policy")
    candidates = [Candidate(server, {"Name": "WEB"}, windows=True) for server in (FIRST, SECOND)]
    latest = Latest(at=AT, servers=list(summaries)).model_dump_json()
    return list(readiness(latest, {policy.name: resolve(policy, candidates)}, {policy.name: policy}, "s3://b/doctor/"))


def test_servers_that_are_ready_are_one_line_and_one_that_nobody_examined_is_none() -> None:
    [line] = checks(summary(FIRST, "yes"))
    assert (line.good, line.words) == (True, "servers ready for what policies want: 1")
    assert checks() == []


@pytest.mark.parametrize(
    ("ready", "words"),
    [
        ("no", f"WEB {FIRST}: policy nightly wants vss, and it lacks: service VSS"),
        ("not known", f"WEB {FIRST}: it is not known whether it is ready for vss"),
    ],
)
def test_what_a_server_lacks_and_what_is_not_known_is_not_good(ready: Ready, words: str) -> None:
    first, second = checks(summary(FIRST, ready), summary(SECOND, "yes"))
    assert (first.good, first.words) == (False, words)
    assert first.remedy == f"s3://b/doctor/{FIRST}.json says what to do about each"
    assert second.good


@pytest.mark.parametrize(("allowed", "begins"), [(True, "start the doctor"), (False, "allow it by the tag")])
def test_what_a_fix_would_change_is_said_with_who_must_allow_it(allowed: bool, begins: str) -> None:
    [line] = checks(summary(FIRST, "no", ("StartMode of VSS: from Disabled to Manual",), allowed=allowed))
    assert line.remedy.startswith(begins)
    assert '"fix"' in line.remedy
