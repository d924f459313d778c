"""The record: all that is known about a run, even one that ended early."""

from datetime import timedelta

import pytest

from quiesce.backup import recording
from quiesce.backup.findings import gather
from quiesce.backup.run import UNKNOWN
from quiesce.backup.state import RunState
from quiesce.backup.verdict import judge
from quiesce.points import record
from quiesce.points.record import FreezeWindow, Logs, Record, SnapshotRecord
from tests.support.factories.run import (
    EXECUTION,
    INSTANCE,
    NOW,
    a_complete,
    a_failure,
    a_freeze,
    a_plan,
    a_record,
    a_session,
    a_snapshot,
    a_snapshot_set,
    a_state,
    a_thaw,
    an_awaited,
    an_exclusion,
    snapshot_id,
    some_settings,
    volume_id,
)

ENDED = NOW + timedelta(minutes=12)
LOGS = Logs(place="s3://bucket/logs/i/r/1/", files=["session.log"], problem="")


def written(state: RunState) -> Record:
    places = recording.Places("s3://bucket/records/r.json", LOGS if state.freeze else None)
    findings = gather(state)
    return recording.write(state, findings, judge(findings), now=ENDED, places=places)


def a_run_with_scripts() -> RunState:
    return a_state(
        plan=a_plan(settings=some_settings(scripts={})),
        freeze=a_freeze(),
        snapshot=a_snapshot_set(a_snapshot(0), a_snapshot(1), returned_at=NOW + timedelta(seconds=4)),
        thaw=a_thaw(a_session("thawed")),
        await_snapshots=an_awaited(a_snapshot(0), a_snapshot(1)),
        complete=a_complete(a_session("ended")),
    )


def test_a_whole_run_is_written_down_with_each_snapshots_volume() -> None:
    done = NOW + timedelta(minutes=10)
    later = a_snapshot(1, started_at=NOW + timedelta(seconds=1), completed_at=done)
    state = a_state(
        plan=a_plan(excluded=[an_exclusion(3)], notes=["planned"]),
        snapshot=a_snapshot_set(a_snapshot(0, "pending"), a_snapshot(1, "pending")),
        await_snapshots=an_awaited(later, a_snapshot(0), lease_held=False),
    )

    whole = written(state)

    assert (whole.run_id, whole.policy, whole.owner, whole.instance_id) == ("run-1", "files-nightly", "admin", INSTANCE)
    assert (whole.instance_name, whole.status, whole.failure) == ("FILES01", "Successful", None)
    assert (whole.started_at, whole.snapshots_at, whole.ended_at) == (NOW, NOW, ENDED)
    assert (whole.execution, whole.record) == (EXECUTION, "s3://bucket/records/r.json")
    assert whole.excluded == [an_exclusion(3)]
    assert whole.notes[0] == "planned"
    assert "lease was lost" in whole.notes[1]
    assert [(s.device, s.root, s.volume_id) for s in whole.snapshots] == [
        ("/dev/sda1", True, volume_id(0)),
        ("xvdb", False, volume_id(1)),
    ]
    assert whole.snapshots[1].completed_at == done
    assert [s.volume for s in whole.snapshots] == a_plan().volumes


def test_what_the_server_said_last_is_in_the_record_with_its_window_and_its_files() -> None:
    whole = written(a_run_with_scripts())
    assert (whole.status, whole.consistency.level) == ("Successful", "application")
    assert whole.session == a_session("ended")
    assert whole.freeze_window == FreezeWindow(total_ms=4000, known_ms=1000, snapshots_ms=1000, thaw_ms=2000)
    assert whole.logs == LOGS


def test_a_run_that_asked_nobody_has_no_session_no_window_and_no_files() -> None:
    plain = written(a_state(plan=a_plan(), await_snapshots=an_awaited(a_snapshot(0), a_snapshot(1))))
    assert (plain.session, plain.freeze_window, plain.logs) == (None, None, None)


def test_what_a_failed_run_left_on_the_server_is_noted() -> None:
    lost = a_failure("AgentUnreachable", "no answer")
    run = a_run_with_scripts().model_copy(
        update={"await_snapshots": an_awaited(a_snapshot(0, "error")), "complete": None, "complete_failure": lost}
    )
    assert written(run).notes == ["it is not known whether the complete script ran (no answer)"]


def test_the_calls_of_all_steps_are_added_up() -> None:
    state = a_state(
        plan=a_plan(calls={"ec2:CreateSnapshots": 1, "s3:GetObject": 2}),
        snapshot=a_snapshot_set(a_snapshot(0), calls={"ec2:CreateSnapshots": 1}),
        await_snapshots=an_awaited(a_snapshot(0), calls={"ec2:DescribeSnapshots": 7}),
    )
    assert written(state).calls == {"ec2:CreateSnapshots": 2, "ec2:DescribeSnapshots": 7, "s3:GetObject": 2}
    assert written(a_run_with_scripts()).calls["ssm:SendCommand"] == 3


def test_a_run_that_plan_refused_has_a_record_of_what_is_known() -> None:
    refused = written(a_state(input="garbage", failure=a_failure("PolicyRefused", "input: is str")))
    assert (refused.policy, refused.owner, refused.instance_id, refused.instance_name) == (
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
        "",
    )
    assert (refused.snapshots, refused.snapshots_at, refused.excluded, refused.calls) == ([], None, [], {})
    assert refused.failure == record.FailureRecord(error="PolicyRefused", cause="input: is str")


def test_snapshots_are_in_the_record_even_where_nobody_could_look_at_them() -> None:
    state = a_state(plan=a_plan(), snapshot=a_snapshot_set(a_snapshot(0, "pending")), failure=a_failure("AccessDenied"))
    failed = written(state)
    assert failed.status == "Failed"
    assert [(s.snapshot_id, s.state) for s in failed.snapshots] == [(snapshot_id(0), "pending")]


def test_where_nobody_could_look_at_the_snapshots_the_record_says_what_is_not_known() -> None:
    lost = a_failure("AwsUnavailable")
    pending = a_snapshot_set(a_snapshot(0, "pending"), a_snapshot(1, "completed"))
    unseen = a_state(plan=a_plan(), snapshot=pending, failure=lost).model_copy(update={"look_failure": lost})
    assert f"it is not known whether {snapshot_id(0)} completed (AwsUnavailable" in " ".join(written(unseen).notes)
    unlisted = unseen.model_copy(update={"snapshot": None})
    assert "whether snapshots of this run exist (AwsUnavailable" in " ".join(written(unlisted).notes)


def test_where_the_answer_of_create_snapshots_was_lost_and_ec2_lists_none_the_record_names_the_tag() -> None:
    state = a_state(plan=a_plan(), await_snapshots=an_awaited(), failure=a_failure("OutcomeUnknown"))
    [note] = written(state).notes
    assert note.startswith("it is not known whether snapshots of this run exist")
    assert f"quiesce:run = {state.execution.name}" in note


def test_what_was_seen_last_stands_over_what_was_answered_first() -> None:
    state = a_state(
        plan=a_plan(),
        snapshot=a_snapshot_set(a_snapshot(0, "pending"), a_snapshot(1, "pending")),
        await_snapshots=an_awaited(a_snapshot(0, "error"), a_snapshot(1, "error")),
    )
    assert {s.state for s in written(state).snapshots} == {"error"}


def test_a_snapshot_of_an_unplanned_volume_stands_last_and_says_so() -> None:
    state = a_state(plan=a_plan(), await_snapshots=an_awaited(a_snapshot(2), a_snapshot(1), a_snapshot(0)))
    assert [(s.device, s.volume is None) for s in written(state).snapshots] == [
        ("/dev/sda1", False),
        ("xvdb", False),
        (UNKNOWN, True),
    ]


def test_a_record_survives_its_own_json() -> None:
    whole = written(a_run_with_scripts())
    assert Record.model_validate_json(whole.model_dump_json()) == whole


def took(*ends_s: int | None) -> int | None:
    """Seconds that a run's snapshots took of which each started 2 s after the one before it, and ended so."""
    snapshots = [
        SnapshotRecord(
            snapshot_id=snapshot_id(number),
            volume_id=volume_id(number),
            device="xvdf",
            root=False,
            size_gib=1,
            state="completed",
            started_at=NOW + timedelta(seconds=2 * number),
            completed_at=None if end_s is None else NOW + timedelta(seconds=end_s),
            volume=None,
        )
        for number, end_s in enumerate(ends_s)
    ]
    return a_record(snapshots=snapshots).snapshots_took_s


@pytest.mark.parametrize(
    ("ends_s", "seconds"), [((30, 90), 90), ((90, 30), 90), ((40,), 40), ((-3,), 0), ((30, None), None), ((), None)]
)
def test_snapshots_took_from_the_first_ones_start_to_the_last_ones_end_and_nothing_is_said_of_unfinished_ones(
    ends_s: tuple[int | None, ...], seconds: int | None
) -> None:
    assert took(*ends_s) == seconds
