"""Runs in which Verify says whether the volumes can be built as of their shadow copies, before any log is truncated."""

import pytest

from quiesce.disks import buildable
from quiesce.disks.buildable import work_of
from quiesce.revert.verified import look_at
from quiesce.steps.backup import verify
from tests.statemachine.builds import give_other_ntfs
from tests.statemachine.truth import record_of
from tests.support.factories.policy import a_policy
from tests.support.wire import refused, unreachable


@pytest.fixture
def request_with(cloud, shop):
    """The input of a run with VSS and scripts."""

    def request_with(**settings):
        defaults = {"scripts": {"from": "bucket"}, **settings}
        policy = a_policy(shop.instance_id, name="orders", vss={}, defaults=defaults)
        return {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id}

    return request_with


@pytest.fixture
def at_rest(machine, cloud, shop):
    """Each volume is at rest in its shadow copy, but for those that a test gives another NTFS here, by their drives."""
    changes = {}

    def write():
        for snapshot in cloud.stored_snapshots():
            drive = next(d for d, volume_id in shop.volumes.items() if volume_id == snapshot.volume_id)
            if drive in changes:
                give_other_ntfs(cloud, snapshot.id, **changes[drive])

    machine.before("verify", write)
    return changes


def snapshot_of(cloud, shop, drive):
    [snapshot] = [s for s in cloud.stored_snapshots() if s.volume_id == shop.volumes[drive]]
    return snapshot


def complete_argument(shop):
    [call] = [asked for asked in shop.application.asked if asked.startswith("complete")]
    return call


def builds_of(run):
    return {copy["path"]: copy["build"]["verdict"] for copy in run.output["evidence"]["copies"]}


def assert_refused(run, cloud, shop, words):
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert words in record["consistency"]["reason"]
    assert "the policy requires that" in record["consistency"]["reason"]
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"crash"}
    assert complete_argument(shop) == "complete 0"
    assert [writer.notified for writer in shop.windows.guest.vss.writers if writer.name == "Shop Writer"] == [[]]


def assert_accepted(run, shop, words):
    assert (run.output["status"], run.output["consistency"]["level"]) == ("Successful", "application")
    assert words in run.output["consistency"]["reason"]
    assert complete_argument(shop) == "complete 1"


@pytest.mark.parametrize("buildable", ["optional", "required"])
def test_the_record_says_that_the_volumes_can_be_built_and_what_it_takes_at_most(
    buildable, machine, shop, request_with, at_rest
):
    run = machine.start(request_with(buildable=buildable))
    assert_accepted(run, shop, "every volume can be built as of its shadow copy")
    evidence = run.output["evidence"]
    assert builds_of(run) == {"C:": "buildable", "D:": "buildable", "E:": "buildable"}
    builds = [copy["build"] for copy in evidence["copies"]]
    assert all(build["blocks_read"] >= build["blocks_written"] > 0 for build in builds)
    for field in ("blocks_read", "blocks_written"):
        assert evidence["build"][field] == sum(build[field] for build in builds)
    assert evidence["build"]["dollars"] == pytest.approx(sum(build["dollars"] for build in builds))
    assert 0 < evidence["build"]["dollars"] < 0.01
    assert run.output["revert"] == "at-recovery"
    blocks = machine.wire.sent.index("ebs:GetSnapshotBlock")
    assert blocks < max(n for n, call in enumerate(machine.wire.sent) if call == "ssm:SendCommand")


def test_a_volume_that_can_not_be_built_is_named_and_costs_nothing_where_the_policy_does_not_ask(
    machine, shop, request_with, at_rest
):
    at_rest["D:"] = {"dirty": True}
    run = machine.start(request_with())
    assert_accepted(run, shop, "not every volume can be built as of its shadow copy: D: not buildable: NTFS is marked")
    assert builds_of(run) == {"C:": "buildable", "D:": "not buildable", "E:": "buildable"}
    assert run.output["evidence"]["build"]["blocks_written"] is None


def test_a_volume_that_can_not_be_built_costs_application_where_the_policy_requires_it(
    machine, cloud, shop, request_with, at_rest
):
    at_rest["D:"] = {"log_clean": False}
    run = machine.start(request_with(buildable="required"))
    assert_refused(run, cloud, shop, "D: not buildable: the log of NTFS is not clean in it")


def late(machine):
    machine.remaining_ms = 50_000


def throttled(machine):
    machine.wire.on("ebs:GetSnapshotBlock", refused("RequestThrottledException"), times=4)


def away(machine):
    machine.wire.on("ebs:GetSnapshotBlock", unreachable, times=4)


def gone(machine):
    machine.wire.on("ebs:GetSnapshotBlock", refused("ResourceNotFoundException", 404))


UNKNOWN = {
    "late": (late, "the function had no time left to read it"),
    "throttled": (throttled, "AwsThrottled"),
    "away": (away, "AwsUnavailable"),
    "gone": (gone, "ResourceNotFoundException"),
}


@pytest.fixture
def second_look(machine, monkeypatch):
    """Lets something happen before Verify looks whether the second volume can be built."""

    def arrange(happens):
        looks = []

        def looked(*arguments):
            looks.append(arguments)
            if len(looks) == 2:
                happens(machine)
            return look_at(*arguments)

        monkeypatch.setattr(verify, "look_at", looked)

    return arrange


@pytest.mark.parametrize(("happens", "words"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_could_not_be_read_is_not_known_and_the_evidence_stays(
    happens, words, machine, shop, request_with, at_rest, second_look
):
    second_look(happens)
    run = machine.start(request_with(evidence="required"))
    assert_accepted(
        run, shop, "it is not known whether every volume can be built as of its shadow copy: D: not known: "
    )
    builds = builds_of(run)
    assert (builds["C:"], builds["D:"]) == ("buildable", "not known")
    assert words in run.output["evidence"]["build"]["reason"]
    assert run.output["evidence"]["verdict"] == "present"
    assert machine.invocations.count("verify") == 1


@pytest.mark.parametrize(("happens", "words"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_is_not_enough_where_the_policy_requires_it(
    happens, words, machine, cloud, shop, request_with, at_rest, second_look
):
    second_look(happens)
    run = machine.start(request_with(buildable="required"))
    assert_refused(run, cloud, shop, "it is not known whether the volumes can be built")
    assert words in run.output["consistency"]["reason"]


def test_where_the_time_ends_while_blocks_are_counted_nothing_is_called_unbuildable(
    machine, shop, request_with, at_rest, monkeypatch
):
    def counted(*arguments):
        machine.remaining_ms = 50_000
        return work_of(*arguments)

    monkeypatch.setattr(buildable, "work_of", counted)
    run = machine.start(request_with())
    assert set(builds_of(run).values()) == {"not known"}


def test_a_verify_without_answer_is_not_enough_where_the_policy_requires_it(machine, cloud, shop, request_with):
    machine.before("verify", lambda: machine.wire.on("ec2:DescribeSnapshots", refused("UnauthorizedOperation", 403)))
    run = machine.start(request_with(buildable="required"))
    assert_refused(run, cloud, shop, "Verify gave no answer")


def test_a_shadow_copy_that_is_not_present_is_not_looked_at(machine, cloud, shop, request_with, at_rest):
    vss = shop.windows.guest.vss
    machine.before(
        "snapshot",
        lambda: shop.lost.add(next(c.shadow_id for c in vss.shadow_copies if vss.volumes[c.volume] == "D:")),
    )
    run = machine.start(request_with())
    assert run.output["evidence"]["verdict"] == "absent"
    assert builds_of(run) == {"C:": "buildable", "D:": "not known", "E:": "buildable"}
    assert run.output["evidence"]["build"]["reason"] == "D: not known: the evidence for its shadow copy is 'absent'"


def test_where_nobody_wants_to_build_nothing_is_looked_at_for_it(machine, shop, request_with, at_rest):
    at_rest["D:"] = {"dirty": True}
    run = machine.start(request_with(revert="off"))
    assert (run.output["status"], run.output["consistency"]["level"]) == ("Successful", "application")
    assert run.output["evidence"]["build"] is None
    assert {copy["build"] for copy in run.output["evidence"]["copies"]} == {None}
    assert "built" not in run.output["consistency"]["reason"]
    assert run.output["revert"] == "off"


def test_the_mail_says_whether_the_volumes_can_be_built(machine, cloud, shop, request_with, at_rest):
    at_rest["D:"] = {"dirty": True}
    machine.start(request_with(buildable="required"))
    [(_, text)] = cloud.mails()
    assert "Revert:      not buildable (D: not buildable: NTFS is marked as dirty in it" in text
