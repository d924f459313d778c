"""Volumes that are built right after Verify, by policy: what is asked for, what the record has, and what is wanting."""

from datetime import timedelta
from typing import Any

import pytest

from quiesce.backup.findings import gather
from quiesce.backup.recording import Places, write
from quiesce.backup.requests import revert_request
from quiesce.backup.state import RunState
from quiesce.backup.verdict import judge
from quiesce.points.evidence import Build
from quiesce.points.point import RecoveryPoint
from quiesce.points.record import Record
from quiesce.report.mail import mail_of
from quiesce.revert.built import Built, BuiltChild, Reverted
from quiesce.revert.plan import PlannedView
from quiesce.revert.request import VerifiedRun
from tests.support.factories.run import NOW, a_failure, snapshot_id, some_settings, volume_id
from tests.unit.backup.test_verdict_of_shadow_copies import SET_ID, SHADOW_ID, Way, the_run

AT = NOW - timedelta(seconds=4)
VIEW = PlannedView(start=0, length=1 << 30, shadow_id=SHADOW_ID, path="D:", as_of=AT)
CHILD = BuiltChild(
    child_id="snap-built",
    snapshot_id=snapshot_id(0),
    volume_id=volume_id(0),
    device="/dev/sda1",
    size_gib=8,
    views=[VIEW, PlannedView(start=1 << 30, length=1 << 20)],
    blocks_written=3,
)
BUILT = Reverted(built=Built(built_for="run-1", children=[CHILD], copies=[]))

CANT = Build(verdict="not buildable", reason="D: it is")


def a_run(build: str = "buildable", policy: str = "at-backup", **changes: Any) -> RunState:
    state = the_run(Way("off", "good", "good", "asked", "completed", build=build))
    assert state.plan
    settings = some_settings(vss={}, scripts="off", revert=policy)
    own = {"quiesce:run": "run-1", "quiesce:policy": "orders", "quiesce:owner": "shop", "team": "shop"}
    plan = state.plan.model_copy(update={"settings": settings, "tags": own})
    state = state.model_copy(update={"plan": plan, **changes})
    assert state.complete
    complete = state.complete.model_copy(update={"succeeded": gather(state).succeeded_so_far})
    return state.model_copy(update={"complete": complete})


def the_record(state: RunState) -> Record:
    findings = gather(state)
    return write(state, findings, judge(findings), now=NOW, places=Places("s3://bucket/r.json", None))


def verified(state: RunState) -> VerifiedRun:
    assert state.verify
    return state.verify


def test_all_snapshots_and_shadow_copies_of_the_run_are_to_be_built_under_its_id() -> None:
    state = a_run()
    request = revert_request(state, verified(state))
    assert request
    assert state.plan
    assert (request.built_for, request.set_id, request.on_failure) == (state.plan.run_id, SET_ID, "clean-up")
    assert [s.snapshot_id for s in request.snapshots] == [snapshot_id(0), snapshot_id(1)]
    assert [c.shadow_id for c in request.copies] == [SHADOW_ID]
    assert not request.where_possible


def test_what_is_built_never_carries_the_runs_tag() -> None:
    state = a_run()
    request = revert_request(state, verified(state))
    assert request
    assert request.extra_tags == {"quiesce:policy": "orders", "quiesce:owner": "shop", "team": "shop"}


@pytest.mark.parametrize(
    ("build", "policy"),
    [("buildable", "at-recovery"), ("buildable", "off"), ("not buildable", "at-backup"), ("not known", "at-backup")],
)
def test_nothing_is_built_unless_the_policy_says_so_and_all_of_it_can_be(build: str, policy: str) -> None:
    state = a_run(build, policy)
    assert revert_request(state, verified(state)) is None


def test_the_record_has_what_was_built_and_a_recovery_reads_it() -> None:
    record = the_record(a_run(revert=BUILT))
    assert (record.status, record.consistency.level) == ("Successful", "application")
    [built] = record.built
    assert (built.snapshot_id, built.built_from, built.device) == ("snap-built", snapshot_id(0), "/dev/sda1")
    assert (built.paths, built.as_of) == (["D:"], AT)
    assert RecoveryPoint.model_validate_json(record.model_dump_json()).built[0].model_dump() == built.model_dump()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"revert_failure": a_failure("ChildDiffers", "block 7")}, "as of their shadow copies (ChildDiffers: block 7)"),
        ({"verify": VerifiedRun(verdict="present", reason="so", build=CANT)}, "D: it is"),
        ({"verify": None}, "Verify did not look"),
    ],
)
def test_a_policy_that_wants_volumes_built_at_the_backup_hears_why_they_were_not(
    changes: dict[str, Any], words: str
) -> None:
    state = a_run(**changes)
    record = the_record(state)
    assert (record.status, record.consistency.level) == ("PartiallySuccessful", "application")
    assert "the volumes were not built as of their shadow copies" in record.reason
    assert words in record.reason
    assert record.built == []
    assert state.complete
    assert not state.complete.succeeded


def test_the_mail_names_what_was_built() -> None:
    mail = mail_of(the_record(a_run(revert=BUILT)), "Failed")
    assert mail
    assert f"Built:       snap-built of D: as of {AT:%Y-%m-%d %H:%M:%S} UTC, from {snapshot_id(0)}" in mail.text
