"""Snapshots by AWS's document: what speaks against it before, and what they are worth after; never too good."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from quiesce.backup import awaiting
from quiesce.backup.findings import ADOPTED_FROM_AWS, gather
from quiesce.backup.planning import BY_AWS, possible_consistency, with_document
from quiesce.backup.recording import Places, write
from quiesce.backup.requests import document_parameters
from quiesce.backup.shadow_problems import NOT_SENT
from quiesce.backup.state import ByAws, Plan, RunState
from quiesce.backup.verdict import judge
from quiesce.guest.inventory import Inventory
from quiesce.points.parts import Snapshot, Source
from tests.support.factories.run import (
    INSTANCE,
    NOW,
    a_complete,
    a_failure,
    a_freeze,
    a_plan,
    a_session,
    a_snapshot,
    a_snapshot_set,
    a_state,
    a_thaw,
    an_awaited,
    an_exclusion,
    snapshot_id,
    some_settings,
)

SCRIPTS = {"from": "bucket"}
INSTALL = "run AWS-ConfigureAWSPackage with action Install and name AwsVssComponents on it"


def settings(**changes: Any) -> Any:
    return some_settings(**{"vss": {"engine": "aws-vss"}, "revert": "off", "scripts": SCRIPTS, **changes})


def plan_of(**changes: Any) -> Plan:
    return a_plan(settings=settings(), **changes)


COMPONENTS: Mapping[str, Any] = {"values": [{"fileVersion": "2.5.1"}], "why": ""}


def an_inventory(
    version: str | None = "10.0.20348",
    name: str | None = "Windows Server 2022",
    components: Mapping[str, Any] | None = COMPONENTS,
) -> Inventory:
    return Inventory.model_validate(
        {
            "windows": {"version": version, "name": name, "installation": "Server", "productType": 3},
            "powershell": {"version": "5.1", "languageMode": "FullLanguage"},
            "drives": [],
            "programData": "C:\\ProgramData",
            "programDataFreeBytes": 10**10,
            "shadowStorage": [],
            "awsComponents": components,
        }
    )


def installed(*versions: str) -> dict[str, Any]:
    return {"values": [{"fileVersion": version} for version in versions], "why": ""}


def a_source(instance_type: str) -> Source:
    empty = dict.fromkeys(("architecture", "image_id", "root_device", "vpc_id", "subnet_id", "availability_zone"), "")
    return Source.model_validate({**empty, "instance_type": instance_type, "security_group_ids": []})


def made(*snapshots: Snapshot, **changes: Any) -> ByAws:
    fields = {
        "command_id": "c-1",
        "succeeded": True,
        "reason": "AWS's document succeeded",
        "snapshots": list(snapshots),
        "fall_back": False,
        "ended_at": NOW + timedelta(seconds=5),
        "calls": {},
    }
    return ByAws.model_validate({**fields, **changes})


def tagged(*numbers: int, **changes: Any) -> list[Snapshot]:
    return [a_snapshot(number, app_consistent=True, **changes) for number in numbers]


def ended(*snapshots: Snapshot, **parts: Any) -> RunState:
    fields = {
        "plan": plan_of(),
        "freeze": a_freeze(by_aws=True),
        "snapshot_by_aws": made(*snapshots),
        "thaw": a_thaw(a_session("thawed")),
        "await_snapshots": an_awaited(*snapshots),
        "complete": a_complete(a_session("ended")),
    }
    return a_state(**{**fields, **parts})


def outcome(state: RunState) -> tuple[str, str]:
    verdict = judge(gather(state))
    return verdict.status, verdict.consistency.level


# ---- Before ----------------------------------------------------------------------------------------------------------


def test_a_server_with_the_components_is_asked_and_what_they_do_not_say_is_in_the_record() -> None:
    plan = with_document(plan_of(), an_inventory())
    assert (plan.no_shadow, plan.notes, plan.by_aws) == ("", [BY_AWS], True)
    assert "AWS's document for VSS and the before script" in possible_consistency("running", settings()).reason


@pytest.mark.parametrize(
    ("plan", "inventory", "obstacle"),
    [
        ({}, an_inventory(components=installed()), f"AwsVssComponents are not installed on the server: {INSTALL}"),
        (
            {},
            an_inventory(components=installed("2.3.0")),
            f"AwsVssComponents on the server: version 2.3.0 is older than 2.3.1: {INSTALL}",
        ),
        (
            {},
            an_inventory("6.3.9600", "Windows Server 2012 R2", installed("2.1.0")),
            "AWS's document needs Windows Server 2016 or later, and this is Windows Server 2012 R2",
        ),
        ({"source": a_source("t3a.nano")}, an_inventory(), "AWS's document runs out of time on a t3a.nano"),
        ({"source": a_source("t2.micro")}, an_inventory(), "AWS's document runs out of time on a t2.micro"),
    ],
)
def test_what_keeps_the_document_from_its_work_is_found_before(
    plan: dict[str, Any], inventory: Inventory, obstacle: str
) -> None:
    found = with_document(plan_of(**plan), inventory)
    assert (found.no_shadow, found.by_aws) == (obstacle, False)


@pytest.mark.parametrize("instance_type", ["t3.small", "t3a.medium", "m5.large", "t4g.micro", "xt3.nano"])
def test_other_types_of_servers_are_no_obstacle(instance_type: str) -> None:
    found = with_document(plan_of(source=a_source(instance_type)), an_inventory(None, None, installed("2.3.1")))
    assert found.by_aws


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"values": [], "why": "awsComponents: Access denied"}, "awsComponents: Access denied"),
        (installed("of no version"), "no version"),
    ],
)
def test_what_nobody_knows_of_the_components_is_a_note(seen: dict[str, Any], why: str) -> None:
    plan = with_document(plan_of(), an_inventory(components=seen))
    words = f"whether AwsVssComponents are installed, and new enough, is not known: {why}"
    assert (plan.by_aws, plan.notes) == (True, [BY_AWS, words])


def test_the_document_gets_the_runs_tags_its_time_and_what_the_policy_says() -> None:
    plan = a_plan(
        settings=settings(vss={"engine": "aws-vss", "backup_type": "copy", "create_limit_s": 90}),
        tags={"Cost": "47 11", "quiesce:run": "run-1"},
        excluded=[an_exclusion(0)],
    )
    assert document_parameters(plan) == {
        "tags": ["Key=Cost,Value=47 11;Key=quiesce:run,Value=run-1"],
        "description": [f"quiesce policy files-nightly: instance {INSTANCE}"],
        "executionTimeout": ["90"],
        "CopyOnly": ["True"],
        "ExcludeBootVolume": ["True"],
        "CreateAmi": ["False"],
        "NoWriters": ["False"],
    }


def test_no_other_plan_has_parameters_for_it() -> None:
    with pytest.raises(ValueError, match="not one by AWS's document"):
        document_parameters(a_plan())


# ---- After -----------------------------------------------------------------------------------------------------------


def test_every_snapshot_with_the_tag_is_application_consistent() -> None:
    assert outcome(ended(*tagged(0, 1))) == ("Successful", "application")
    assert gather(ended(*tagged(0, 1))).succeeded_so_far


@pytest.mark.parametrize("without", [(0,), (1,), (0, 1)])
def test_one_without_it_makes_the_whole_set_as_after_a_power_failure(without: tuple[int, ...]) -> None:
    snapshots = [a_snapshot(number, app_consistent=number not in without) for number in (0, 1)]
    state = ended(*snapshots)
    assert outcome(state) == ("PartiallySuccessful", "crash")
    assert not gather(state).succeeded_so_far, "complete gets 0"
    verb = "is" if len(without) == 1 else "are"
    names = ", ".join(map(snapshot_id, without))
    assert judge(gather(state)).reason.startswith(f"{names} {verb} not tagged AppConsistent=true")


def test_a_volume_that_was_attached_later_decides_nothing() -> None:
    assert outcome(ended(*tagged(0, 1), a_snapshot(7))) == ("Successful", "application")


def test_a_snapshot_that_is_missing_fails_the_run_whatever_the_others_are() -> None:
    assert outcome(ended(*tagged(0)))[0] == "Failed"


def test_tags_of_a_document_that_failed_are_not_believed() -> None:
    state = ended(*tagged(0, 1), snapshot_by_aws=made(*tagged(0, 1), succeeded=False, reason="it failed: why"))
    assert outcome(state) == ("PartiallySuccessful", "crash")
    assert judge(gather(state)).reason == "it failed: why"


def test_plain_snapshots_after_it_are_told_with_its_reason() -> None:
    plain = [a_snapshot(0), a_snapshot(1)]
    fell_back = made(succeeded=False, fall_back=True, reason="it failed: why")
    state = ended(*plain, snapshot_by_aws=fell_back, snapshot=a_snapshot_set(*plain))
    assert outcome(state) == ("PartiallySuccessful", "crash")
    assert judge(gather(state)).consistency.reason == "it failed: why"


def test_plain_snapshots_without_it_say_why_it_was_not_sent() -> None:
    plain = [a_snapshot(0), a_snapshot(1)]
    unanswered = a_freeze(by_aws=False).model_copy(update={"session": None})
    state = ended(*plain, snapshot_by_aws=None, snapshot=a_snapshot_set(*plain), freeze=unanswered)
    assert outcome(state)[1] == "crash"
    assert NOT_SENT in judge(gather(state)).reason
    planned = ended(*plain, snapshot_by_aws=None, snapshot=a_snapshot_set(*plain), plan=plan_of(no_shadow="it lacks x"))
    assert judge(gather(planned)).consistency.reason == "AWS's document was not sent: it lacks x"


def test_nothing_of_a_document_that_failed_is_a_run_that_was_not_frozen() -> None:
    state = ended(snapshot_by_aws=made(succeeded=False, reason="it failed: why"))
    verdict = judge(gather(state))
    assert verdict.cause is not None
    assert (verdict.cause.error, verdict.cause.words) == (
        "NotFrozen",
        "it failed: why, and the policy wants application consistency",
    )


def test_snapshots_that_were_adopted_without_its_end_may_be_of_an_application_that_was_not_held() -> None:
    adopted = an_awaited(*tagged(0, 1), adopted=True)
    state = ended(snapshot_by_aws=None, await_snapshots=adopted, failure=a_failure())
    assert outcome(state) == ("PartiallySuccessful", "crash")
    verdict = judge(gather(state))
    assert verdict.reason == ADOPTED_FROM_AWS
    assert any("found by their tag" in note for note in verdict.notes)
    # With its end known, EC2 was only late to list them.
    assert outcome(ended(snapshot_by_aws=made(), await_snapshots=adopted)) == ("Successful", "application")


def test_the_time_of_the_document_is_in_the_freeze_window() -> None:
    window = gather(ended(*tagged(0, 1))).freeze_window
    assert window is not None
    assert window.snapshots_ms == 2000


# ---- Sets ------------------------------------------------------------------------------------------------------------


def test_of_two_sets_with_the_same_tags_the_first_whole_one_counts() -> None:
    later = {"started_at": NOW + timedelta(seconds=30)}
    first, second = tagged(0, 1), [a_snapshot(n, snapshot_id=snapshot_id(n + 8), **later) for n in (0, 1)]
    assert awaiting.one_set([*second, *first]) == first
    assert awaiting.one_set([*second, first[0]]) == second, "EC2 does not list all of the first one yet"
    assert awaiting.one_set([]) == []
    unlike = [a_snapshot(0), a_snapshot(1, **later)]
    assert awaiting.one_set(unlike) == unlike, "one of each volume is one set, whatever its times are"


def test_a_set_that_is_adopted_is_one_of_two() -> None:
    again = [a_snapshot(n, snapshot_id=snapshot_id(n + 8), started_at=NOW + timedelta(seconds=30)) for n in (0, 1)]
    state = ended(snapshot_by_aws=None, await_snapshots=None, failure=a_failure())
    for found in (
        awaiting.answer(state, [*again, *tagged(0, 1)], NOW),
        awaiting.seen_late(state, [*again, *tagged(0, 1)], NOW),
    ):
        assert (found.adopted, found.snapshots) == (True, tagged(0, 1))


def test_what_has_the_tags_besides_is_remembered_and_told() -> None:
    ours, other = tagged(0, 1), a_snapshot(0, snapshot_id=snapshot_id(9))
    state = ended(*ours)
    answered = an_awaited(*ours)
    assert awaiting.others_of(state, answered, [*ours, other]) == [snapshot_id(9)]
    assert awaiting.others_of(state, an_awaited(), [other]) == [], "nothing is the recovery point's yet"
    before = ended(*ours, await_snapshots=an_awaited(*ours, others=[snapshot_id(9)]))
    assert awaiting.others_of(before, answered, ours) == [snapshot_id(9)]
    told = judge(gather(ended(*ours, await_snapshots=an_awaited(*ours, others=[snapshot_id(9)])))).notes
    assert any(note.startswith(f"{snapshot_id(9)} have the run's tags") for note in told)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, True),
        ({"freeze": a_freeze(by_aws=False)}, False),
        ({"snapshot_by_aws": made()}, False),
        ({"swept": None}, False),
    ],
)
def test_a_run_that_ended_while_the_document_may_go_on_says_where_to_look(parts: dict[str, Any], said: bool) -> None:
    fields = {
        "swept": a_failure("Stopped", "by a person"),
        "failure": a_failure("Stopped", "by a person"),
        "snapshot_by_aws": None,
        "await_snapshots": an_awaited(late=True),
        **parts,
    }
    state = ended(**fields)
    findings = gather(state)
    record = write(state, findings, judge(findings), now=NOW, places=Places("s3://bucket/r.json", None))
    assert any("AWS's document may have been sent" in note for note in record.notes) == said
