"""Recovery points are removed by the rule, and nothing else ever is: whole executions, and what exists after them."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from quiesce.aws.items import Items
from quiesce.aws.retention.points import Points
from quiesce.steps.retention.remove import RESERVE_MS
from sandbox.aws.recycle_bin import BIN
from sandbox.aws.snapshot_use import LOCKS
from tests.statemachine.generations import DAY_S, Generations
from tests.support.wire import answer_lost, dies_after, dies_before, refused

CHANGES = ("ec2:DeleteSnapshot", "ec2:CreateTags", "dynamodb:UpdateItem", "s3:PutObject")
THROTTLED = "RequestLimitExceeded"


def once_done(wire, action):
    """Let somebody do this before the request takes effect."""

    def fault(_request, effect):
        with wire.listen(on=False):
            action()
        return effect()

    return fault


@pytest.fixture
def generations(machine, cloud, server, monkeypatch):
    monkeypatch.setattr("sandbox.aws.snapshots.RULES.duration_s", 0.0)
    made = Generations(cloud, machine, server)
    made.begin()
    made.put_policy()
    return made


@pytest.fixture
def five(generations):
    """Five nights of which the rule keeps three, long after the rule was first seen."""
    generations.nights(1)
    generations.settle()
    return generations, generations.nights(5)


def test_what_no_rule_keeps_is_removed_with_all_of_its_snapshots_and_its_record_says_why(generations):
    generations.night(built=True)
    generations.settle()
    old, *rest = generations.nights(5, built=True)
    first = generations.made[0]
    run = generations.prune()
    assert (run.output["removed"], run.output["problems"]) == (3, [])
    assert generations.left() == dict.fromkeys(rest[1:], 6)
    for gone in (first, old, rest[0]):
        record = generations.record(gone)
        assert record["removed_at"]
        assert record["removed_because"] == "no rule keeps it"
    assert all(generations.record(kept)["removed_at"] is None for kept in rest[1:])
    assert not [key for key in generations.cloud.items() if key[1] == "pruning"]


def test_a_dry_run_shows_every_reason_and_removes_nothing(five):
    """Trap 17: and it does not say that it removed anything."""
    generations, nights = five
    before = generations.left()
    run = generations.prune(mode="dry-run", instance_id=generations.server.instance_id)
    assert (run.output["removed"], run.output["would_go"]) == (0, 3)
    [text] = run.output["plans"]
    words = " ".join(text.split())
    assert f"{nights[-1]} Successful application keep newest, newest successful, newest application" in words
    assert f"{nights[0]} Successful application remove no rule keeps it" in words
    assert generations.left() == before


def test_a_second_run_removes_nothing_more(five):
    generations, _ = five
    generations.prune()
    left = generations.left()
    sent = len(generations.machine.wire.sent)
    told = {
        "servers": 1,
        "locked": 0,
        "removed": 0,
        "archived": 0,
        "would_go": 0,
        "problems": [],
        "notes": [],
        "plans": [],
    }
    assert generations.prune().output == told
    assert generations.left() == left
    changes = {"ec2:DeleteSnapshot", "ec2:CreateTags", "ec2:DeregisterImage"}
    assert not changes & set(generations.machine.wire.sent[sent:])


def test_a_first_rule_removes_nothing_for_three_days(generations):
    """Before it every recovery point stayed, and nobody may have looked yet."""
    generations.nights(5)
    assert generations.prune().output["removed"] == 0
    generations.machine.clock.now_s += 3 * DAY_S - 60
    assert generations.prune().output["removed"] == 0
    generations.machine.clock.now_s += 120
    assert generations.prune().output["removed"] == 2


def test_a_changed_rule_removes_for_three_days_nothing_that_the_former_one_keeps(five):
    generations, nights = five
    generations.put_policy(keep={"daily": 1})
    assert generations.prune().output["removed"] == 3
    assert set(generations.left()) == set(nights[2:])
    generations.machine.clock.now_s += 3 * DAY_S
    assert generations.prune().output["removed"] == 2
    assert set(generations.left()) == {nights[-1]}


def test_a_rule_that_changes_twice_within_these_days_keeps_what_the_first_one_keeps(five):
    generations, nights = five
    generations.prune()
    generations.put_policy(keep={"daily": 1})
    generations.prune()
    generations.put_policy(keep={"daily": 2})
    generations.machine.clock.now_s += DAY_S
    assert generations.prune().output["removed"] == 0
    assert set(generations.left()) == set(nights[2:])


def test_a_person_confirms_the_very_plan_and_no_other(generations):
    nights = generations.nights(5)
    server = {"instance_id": generations.server.instance_id, "policy": "nightly"}
    shown = generations.plan_id()
    late = generations.night()
    assert generations.machine.retain({**server, "confirm": shown}).output["removed"] == 0
    assert set(generations.left()) == {*nights, late}
    assert generations.prune(**server, confirm=generations.plan_id()).output["removed"] == 3
    assert set(generations.left()) == {*nights[3:], late}


@pytest.mark.parametrize("change", ["server", "target", "tag", "excluded", "policy", "unreadable"])
def test_where_server_or_policy_is_gone_nothing_goes_until_a_person_says_so(five, change):
    """Trap 14."""
    generations, nights = five
    cloud, instance_id = generations.cloud, generations.server.instance_id
    match change:
        case "server":
            cloud.ec2.terminate_instances(InstanceIds=[instance_id])
        case "target":
            generations.put_policy(targets=[{"instance_id": "i-0fedcba9876543210"}])
        case "tag":
            generations.put_policy(targets=[{"tags": {"Backup": "nightly"}}])
        case "excluded":
            generations.put_policy(targets=[{"tag_key": "Backup"}], exclude=[{"instance_id": instance_id}])
        case "policy":
            cloud.s3.delete_object(Bucket="quiesce-bucket", Key="policies/nightly.yaml")
        case "unreadable":
            cloud.s3.put_object(Bucket="quiesce-bucket", Key="policies/nightly.yaml", Body=b"keep: [")
    before = generations.left()
    run = generations.prune()
    assert (run.output["removed"], generations.left()) == (0, before)
    [problem] = run.output["problems"]
    words = {"server": "is terminated or gone", "policy": "can't be read", "unreadable": "can't be read"}
    assert words.get(change, "is no target of the policy any more") in problem
    assert (
        generations.prune(instance_id=instance_id, policy="nightly", confirm=generations.plan_id()).output["removed"]
        == 3
    )
    assert set(generations.left()) == set(nights[2:])


def test_a_server_that_the_policy_chooses_by_its_tags_is_pruned(five):
    generations, nights = five
    pairs = [{"Key": "Backup", "Value": "nightly"}]
    generations.cloud.ec2.create_tags(Resources=[generations.server.instance_id], Tags=pairs)
    generations.put_policy(targets=[{"tags": {"Backup": "nightly"}}])
    assert generations.prune().output["removed"] == 3
    assert set(generations.left()) == set(nights[2:])


def test_what_is_held_leased_locked_shared_or_in_an_image_stays_and_nothing_else_because_of_it(five):
    """Trap 15: what an image uses is not tried again each night, but kept, and told."""
    generations, nights = five
    cloud, clock = generations.cloud, generations.machine.clock
    generations.nights(2)
    generations.tag(nights[0], hold="anna: the audit of 2026, until 2027-01-31")
    locked, shared, imaged = (generations.snapshot_ids(nights[n])[0] for n in (1, 2, 3))
    LOCKS.held[locked] = ("governance", clock.now_s + 9 * DAY_S)
    cloud.ec2.modify_snapshot_attribute(
        SnapshotId=shared, Attribute="createVolumePermission", OperationType="add", UserIds=["210987654321"]
    )
    image = cloud.servers.backend().register_image("of a person", "")
    image.devices = {"/dev/sda1": cloud.servers.backend().snapshots[imaged]}
    run = generations.prune()
    assert (run.output["removed"], run.output["problems"]) == (1, [])
    assert set(generations.left()) == set(generations.made[1:])
    text = generations.prune(mode="dry-run", instance_id=generations.server.instance_id).output["plans"][0]
    for words in ("held: anna: the audit of 2026, until", "locked until ", "shared with 2109", f"in use by {image.id}"):
        assert f" keep {words}" in " ".join(text.split())


def test_the_newest_whole_the_newest_application_consistent_and_at_least_so_many_stay(generations):
    generations.put_policy(keep={"yearly": 1}, at_least=2)
    generations.night()
    generations.settle()
    application = generations.night()
    crash = generations.nights(3, level="crash")
    partial = generations.night(status="PartiallySuccessful", level="crash")
    assert generations.prune().output["removed"] == 2
    assert set(generations.left()) == {application, *crash[1:], partial}


def test_a_failed_one_goes_once_a_whole_one_is_newer_by_the_days_of_the_policy(generations):
    generations.put_policy(keep_partial_days=2)
    generations.night()
    generations.settle()
    failed = generations.night(status="Failed", level="none")
    generations.nights(1)
    assert generations.prune().output["removed"] == 0
    generations.nights(1)
    assert generations.prune().output["removed"] == 1
    assert failed not in generations.left()


def test_a_clock_that_differs_from_awss_removes_nothing(five):
    """Traps 3 and 11: a clock that jumped a year."""
    generations, _ = five
    before = generations.left()
    generations.machine.clock.aws_ahead_s = -365 * DAY_S
    run = generations.prune()
    assert (run.output["removed"], generations.left()) == (0, before)
    assert "the function's clock says" in run.output["problems"][0]
    generations.machine.clock.aws_ahead_s = 299
    assert generations.prune().output["removed"] == 3


def test_over_the_limit_of_a_day_nothing_is_removed_until_a_person_says_so(generations):
    generations.put_policy(keep={"daily": 30})
    nights = generations.nights(12)
    generations.settle()
    generations.put_policy(keep={"daily": 2})
    generations.settle()
    run = generations.prune()
    assert run.output["removed"] == 0
    assert "10 of 12 recovery points would go; more than 5 in 24 hours go only with a person's word" in str(
        run.output["problems"]
    )
    assert "10 of 12 recovery points would go" in generations.cloud.mails()[-1][1]
    server = {"instance_id": generations.server.instance_id, "policy": "nightly"}
    assert generations.prune(**server, confirm=generations.plan_id()).output["removed"] == 10
    assert set(generations.left()) == set(nights[-2:])


def test_a_snapshot_of_another_stack_of_a_person_or_of_no_record_is_never_touched(five):
    """Trap 12."""
    generations, _ = five
    ec2, volume = generations.cloud.ec2, generations.server.volumes["C:"]
    ours = {"quiesce:stack": "quiesce", "quiesce:instance": generations.server.instance_id}
    for tags in ({}, {**ours, "quiesce:stack": "other", "quiesce:run": "nightly-000"}, {**ours, "quiesce:run": "lost"}):
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        specification = [{"ResourceType": "snapshot", "Tags": pairs}] if pairs else []
        ec2.create_snapshot(VolumeId=volume, TagSpecifications=specification)
    mine = {i for run_id in generations.made for i in generations.snapshot_ids(run_id)}
    strangers = [each["id"] for each in generations.cloud.snapshots()][-3:]
    generations.prune()
    left = {each["id"] for each in generations.cloud.snapshots()}
    assert {*strangers} <= left
    assert len(left & mine - {*strangers}) == 9


def test_one_whose_snapshot_was_deleted_by_hand_takes_no_place_and_stays(five):
    generations, nights = five
    generations.cloud.ec2.delete_snapshot(SnapshotId=generations.snapshot_ids(nights[3])[0])
    assert generations.prune().output["removed"] == 2
    assert set(generations.left()) == {nights[1], nights[2], nights[3], nights[4]}


def test_a_point_of_the_future_stays_and_takes_no_place(five):
    generations, nights = five
    generations.machine.clock.now_s += 30 * DAY_S
    future = generations.night()
    generations.machine.clock.now_s -= 31 * DAY_S
    assert generations.prune().output["removed"] == 3
    assert set(generations.left()) == {*nights[2:], future}


def test_a_record_that_cannot_be_read_keeps_its_snapshots(five):
    generations, nights = five
    item = {"pk": {"S": generations.server.instance_id}, "sk": {"S": f"run#{nights[0]}"}}
    generations.cloud.dynamodb.delete_item(TableName="quiesce-table", Key=item)
    assert generations.prune().output["removed"] == 2
    assert nights[0] in generations.left()


CUT_OFF = [(call, fault) for call in CHANGES for fault in (answer_lost, dies_before, dies_after)]
BUSY = [("ec2:DeleteSnapshot", refused(code, status)) for code, status in (("InternalError", 500), (THROTTLED, 503))]


@pytest.mark.parametrize(("call", "fault"), [*CUT_OFF, *BUSY])
def test_a_removal_that_was_cut_off_anywhere_is_finished(five, call, fault):
    generations, nights = five
    generations.machine.wire.on(call, fault, nth=3, times=2)
    generations.prune()
    generations.prune()
    assert generations.left() == dict.fromkeys(nights[2:], 3)
    assert [run_id for run_id in generations.made if generations.record(run_id)["removed_at"]] == generations.made[:3]


def test_what_one_execution_had_begun_another_one_finishes_whatever_the_rule_says_by_then(five):
    generations, nights = five
    machine = generations.machine
    machine.wire.on("ec2:DeleteSnapshot", refused("UnauthorizedOperation", 403), nth=2, times=30)
    run = generations.prune()
    assert run.output["removed"] == 0
    assert any("is still there" in problem for problem in run.output["problems"])
    machine.wire.forget()
    generations.put_policy(keep={"daily": 99})
    assert generations.prune().output["removed"] == 3
    assert set(generations.left()) == set(nights[2:])


def test_an_accepted_deletion_is_no_deletion(five):
    """AWS Backup's trap: a call without the rights answers 200, and deletes nothing."""
    generations, nights = five
    [stuck, *_] = generations.snapshot_ids(nights[0])
    LOCKS.sticky.add(stuck)
    run = generations.prune()
    assert nights[0] in generations.left()
    assert f"EC2 still lists {stuck}" in str(run.output["problems"])
    assert generations.record(nights[0])["removed_at"] is None
    LOCKS.sticky.clear()
    generations.machine.clock.now_s += 3600
    assert generations.prune().output["removed"] == 1
    assert nights[0] not in generations.left()


def test_a_hold_between_the_mark_and_the_deletion_stops_it(five):
    generations, nights = five
    machine = generations.machine

    def hold():
        if machine._state == "Finish":
            generations.tag(nights[0], hold="anna")
        else:
            machine.before("retention", hold)

    machine.before("retention", hold)
    run = generations.prune()
    assert run.output["removed"] == 2
    assert generations.left()[nights[0]] == 3
    assert "its removal has begun, but it is held: anna" in str(run.output["problems"])


def test_a_rule_of_the_recycle_bin_is_told_and_the_removal_counts(five):
    generations, nights = five
    BIN.retains = True
    assert generations.prune().output["removed"] == 3
    assert set(generations.left()) == set(nights[2:])
    [outcome] = [item["outcome"] for (pk, _), item in generations.cloud.items().items() if pk == "outcomes"]
    assert "are in the Recycle Bin, by a rule of yours" in outcome


def test_of_two_prunings_at_once_one_removes_and_the_other_changes_nothing(five):
    generations, nights = five
    key = {"pk": {"S": generations.server.instance_id}, "sk": {"S": "pruning"}}
    until = str(int(generations.machine.clock.now_s) + 600)
    item = {**key, "execution": {"S": "another"}, "expires_at": {"N": until}}
    generations.cloud.dynamodb.put_item(TableName="quiesce-table", Item=item)
    before = generations.left()
    run = generations.prune()
    assert generations.left() == before
    [note] = run.output["notes"]
    assert "PruningBusy: another is removing recovery points of" in note
    assert (run.output["problems"], generations.cloud.mails()) == ([], [])
    generations.machine.clock.now_s += 601
    assert generations.prune().output["removed"] == 3
    assert set(generations.left()) == set(nights[2:])


def test_one_servers_failure_stops_no_others(five, cloud, machine):
    generations, nights = five
    other = Generations(cloud, machine, cloud.add_server("SERVER2"))
    targets = [{"instance_id": each.server.instance_id} for each in (generations, other)]
    generations.put_policy(targets=targets)
    with_two = other.nights(3)
    first = min(generations.server.instance_id, other.server.instance_id)
    machine.wire.on("ec2:DescribeInstances", refused("UnauthorizedOperation", 403), nth=1)
    run = generations.prune()
    failed = generations if first == generations.server.instance_id else other
    assert f"{failed.server.instance_id}: AccessDenied: " in str(run.output["problems"])
    generations.prune()
    assert set(nights[2:]) <= set(generations.left())
    assert len(with_two) == 3


def test_a_server_of_which_nothing_is_known_is_told_by_its_id(five):
    """Its own failure could not be kept: the table refused that, too."""
    generations, nights = five
    generations.machine.wire.on("ec2:DescribeInstances", refused("UnauthorizedOperation", 403), nth=1)
    generations.machine.wire.on("dynamodb:PutItem", refused("AccessDeniedException", 403), nth=1)
    run = generations.prune()
    [problem] = run.output["problems"]
    assert problem.startswith(f"{generations.server.instance_id}: not finished, and nothing says why; look at the")
    assert "not finished" in generations.cloud.mails()[-1][1]
    assert set(nights) <= set(generations.left())


def test_each_server_is_counted_by_itself(five, cloud, machine):
    """Trap 13."""
    generations, nights = five
    other = Generations(cloud, machine, cloud.add_server("SERVER2"), made=["of the first"] * 50)
    generations.put_policy(targets=[{"instance_id": each.server.instance_id} for each in (generations, other)])
    of_other = other.nights(2)
    assert generations.prune().output["removed"] == 3
    assert set(generations.left()) == {*nights[2:], *of_other}


def test_a_server_that_lost_a_volume_is_the_same_server(five):
    """Trap 4: nothing goes by which volumes there were."""
    generations, _ = five
    ec2, server = generations.cloud.ec2, generations.server
    ec2.detach_volume(VolumeId=server.volumes["E:"], InstanceId=server.instance_id)
    after = generations.nights(3)
    generations.prune()
    assert generations.left() == dict.fromkeys(after, 2)


def test_two_policies_on_one_server_each_go_by_their_own_rule(generations):
    """Trap 1."""
    generations.put_policy(name="weekly", keep={"last": 1})
    generations.night()
    generations.night(policy="weekly")
    generations.settle()
    nightly, weekly = generations.nights(4), generations.nights(3, policy="weekly")
    assert generations.prune().output["removed"] == 2 + 3
    assert set(generations.left()) == {*nightly[1:], weekly[-1]}


@pytest.mark.parametrize("kept", ["held", "locked"])
def test_a_hold_or_a_lock_counts_for_its_recovery_point_alone_with_two_policies_on_one_server(generations, kept):
    """The other policy's of the same night goes by its own rule, and both share the server's volumes."""
    generations.put_policy(name="weekly", keep={"last": 1})
    generations.nights(1)
    generations.nights(1, policy="weekly")
    generations.settle()
    nightly, weekly = generations.nights(4), generations.nights(3, policy="weekly")
    if kept == "held":
        generations.tag(weekly[0], hold="anna: the audit")
    else:
        locked = generations.snapshot_ids(weekly[0])[0]
        LOCKS.held[locked] = ("governance", generations.machine.clock.now_s + 99 * DAY_S)
    assert generations.prune().output["removed"] == 2 + 2
    assert generations.left() == dict.fromkeys([*nightly[1:], weekly[0], weekly[-1]], 3)
    text = generations.prune(mode="dry-run", instance_id=generations.server.instance_id).output["plans"][0]
    assert " ".join(text.split()).count(f" keep {kept}") == 1


@pytest.mark.parametrize("which", [-1, 0])
def test_a_person_removes_one_by_its_id_also_the_last(five, which):
    generations, nights = five
    server, run_id = generations.server.instance_id, nights[which]
    assert generations.machine.retain({"instance_id": server, "remove": run_id}).error == "RetentionRefused"
    assert run_id in generations.left()
    generations.prune(instance_id=server, remove=run_id, confirm=run_id)
    assert set(generations.left()) == set(generations.made) - {run_id}
    assert generations.record(run_id)["removed_because"].startswith("a person removed it by its id, in arn:")


def test_a_person_cannot_remove_what_is_held(five):
    generations, nights = five
    generations.tag(nights[0], hold="anna")
    server = generations.server.instance_id
    run = generations.prune(instance_id=server, remove=nights[0], confirm=nights[0])
    assert run.output["removed"] == 0
    assert generations.left()[nights[0]] == 3
    held = generations.snapshot_ids(nights[0])[:1]
    generations.cloud.ec2.delete_tags(Resources=held, Tags=[{"Key": "quiesce:hold"}])
    assert generations.prune(instance_id=server, remove=nights[0], confirm=nights[0]).output["removed"] == 1


@pytest.mark.parametrize("why", ["unknown", "clock", "leased meanwhile"])
def test_what_a_person_asks_for_and_is_not_possible_is_told_and_nothing_is_removed(five, why):
    generations, nights = five
    server, machine, run_id = generations.server.instance_id, generations.machine, nights[0]
    before, points = generations.left(), Points(generations.cloud.dynamodb, "quiesce-table")
    words = f"'{run_id}' is in use by now. Remedy: remove it when that has ended"
    match why:
        case "unknown":
            run_id, words = "nightly-999", f"{server} has no recovery point 'nightly-999'"
        case "clock":
            machine.clock.aws_ahead_s, words = 600, "the function's clock says"
        case "leased meanwhile":
            until = datetime.fromtimestamp(machine.clock.now_s + 3600, UTC)
            lease = lambda: points.lease(server, run_id, "drill", until - timedelta(hours=1), until)  # noqa: E731
            machine.wire.on("ec2:DescribeImages", once_done(machine.wire, lease), nth=2)
    told = generations.prune(instance_id=server, remove=run_id, confirm=run_id).output
    assert told["removed"] == 0
    assert words in str(told["problems"])
    assert generations.left() == before
    # The server is free for others at once.
    machine.clock.aws_ahead_s = 0
    assert generations.prune().output["removed"] >= 2


def test_a_plan_that_changes_between_its_showing_and_its_doing_waits_for_the_next_run(five):
    generations, nights = five
    machine = generations.machine

    def one_more():
        if machine._state == "Mark":
            generations.night()
        else:
            machine.before("retention", one_more)

    machine.before("retention", one_more)
    told = generations.prune().output
    assert told["removed"] == 0
    assert "policy nightly: its recovery points changed meanwhile; the next run looks" in str(told["problems"])
    assert set(nights) <= set(generations.left())
    assert generations.prune().output["removed"] == 4


def test_one_that_is_leased_between_the_plan_and_its_mark_stays_and_is_told(five, monkeypatch):
    generations, nights = five
    begin = Points.begin_removal
    refuse = lambda points, point, *rest: point.run_id != nights[0] and begin(points, point, *rest)  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(Points, "begin_removal", refuse)
        told = generations.prune().output
    assert told["removed"] == 2
    assert f"{nights[0]} is in use by now, or being removed" in str(told["problems"])
    assert generations.left()[nights[0]] == 3


def test_what_one_call_has_no_time_for_another_call_removes(five):
    generations, nights = five
    generations.machine.remaining_ms = RESERVE_MS - 1
    told = generations.prune().output
    assert told["removed"] == 0
    assert f"{nights[0]} has to wait for another call" in str(told["problems"])
    generations.machine.remaining_ms = RESERVE_MS
    generations.machine.clock.now_s += 3600
    assert generations.prune().output["removed"] == 3


def test_snapshots_that_somebody_deletes_first_are_gone_and_no_problem(five):
    generations, nights = five
    machine, first = generations.machine, generations.snapshot_ids(nights[0])
    for call in ("ec2:CreateTags", "ec2:DeleteSnapshot"):
        gone = first.pop()
        delete = partial(generations.cloud.ec2.delete_snapshot, SnapshotId=gone)
        machine.wire.on(call, once_done(machine.wire, delete))
    told = generations.prune().output
    assert (told["removed"], told["problems"]) == (3, [])
    assert set(generations.left()) == set(nights[2:])


def test_a_mark_that_ec2_refuses_keeps_every_snapshot_of_its_recovery_point(five):
    """What a recovery may still choose must be whole."""
    generations, nights = five
    generations.machine.wire.on("ec2:CreateTags", refused("UnauthorizedOperation", 403), nth=2)
    told = generations.prune().output
    assert told["removed"] == 2
    assert " can't be marked: " in str(told["problems"])
    assert [generations.left().get(night, 3) for night in generations.made] == [3] * 6
    assert generations.prune().output["removed"] == 1
    assert set(generations.left()) == set(nights[2:])


def test_an_image_that_ec2_does_not_let_go_is_told_and_tried_again(five, monkeypatch):
    generations, _ = five
    with monkeypatch.context() as patched:
        patched.setattr("quiesce.steps.retention.remove.retired", lambda *_: ["ami-0123456789abcdef0"])
        generations.machine.wire.on("ec2:DeregisterImage", refused("UnauthorizedOperation", 403))
        told = generations.prune().output
    assert told["removed"] == 3
    assert "ami-0123456789abcdef0: " in str(told["problems"])


def test_a_run_whose_record_is_gone_from_the_table_is_no_recovery_point_any_more(five):
    """Its snapshots were being removed when it went: they go, and there is nothing to write into."""
    generations, nights = five
    machine, server = generations.machine, generations.server.instance_id

    def without_record():
        if machine._state == "Finish":
            key = {"pk": {"S": server}, "sk": {"S": f"run#{nights[0]}"}}
            generations.cloud.dynamodb.update_item(
                TableName="quiesce-table",
                Key=key,
                UpdateExpression="SET #record = :bad",
                ExpressionAttributeNames={"#record": "record"},
                ExpressionAttributeValues={":bad": {"S": "{"}},
            )
        else:
            machine.before("retention", without_record)

    machine.before("retention", without_record)
    told = generations.prune().output
    assert (told["removed"], told["problems"]) == (3, [])
    item = generations.cloud.items()[server, f"run#{nights[0]}"]
    assert (item["record"], "removed_at" in item) == ("{", True)


def test_a_server_with_many_runs_is_listed_by_its_points_and_not_by_its_records(five, monkeypatch):
    """Once a week its runs are gone through, in case one ended before it was listed."""
    generations, _ = five
    asked = []
    query = Items.query

    def watched(items, pk, *rest):
        asked.append(pk)
        return query(items, pk, *rest)

    generations.prune()
    monkeypatch.setattr(Items, "query", watched)
    generations.night()
    generations.prune()
    assert generations.server.instance_id not in asked
    assert generations.machine.wire.count("dynamodb:Scan") == 0
    generations.machine.clock.now_s += 7 * DAY_S
    generations.prune()
    assert asked.count(generations.server.instance_id) == 1


def test_runs_that_ended_before_there_was_a_list_are_listed(generations):
    nights = generations.nights(5)
    table = {"TableName": "quiesce-table"}
    for pk, sk in generations.cloud.items():
        if pk.startswith("points#"):
            generations.cloud.dynamodb.delete_item(**table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
    generations.settle()
    assert generations.prune().output["removed"] == 2
    assert set(generations.left()) == set(nights[2:])


def test_a_recovery_and_a_removal_never_have_the_same_recovery_point(machine, cloud, backed):
    """Started between decision and deletion: who comes first has it, and the other says so."""
    clock, server = machine.clock, backed.server.instance_id
    run_id = backed.record["run_id"]
    remove = {"instance_id": server, "remove": run_id, "confirm": run_id}
    assert backed.recover().status == "SUCCEEDED"
    machine.retain(remove)
    item = cloud.items()[server, f"run#{run_id}"]
    assert (item["leased_by"], "removing_at" in item) == ("recovery drill-7", False)
    clock.now_s += 27 * 3600
    machine.wire.on("ec2:DeleteSnapshot", refused("UnauthorizedOperation", 403), nth=1, times=30)
    machine.retain(remove)
    machine.wire.forget()
    assert "removing_at" in cloud.items()[server, f"run#{run_id}"]
    other = backed.recover(recovery_id="drill-8")
    assert other.error == "RecoveryRefused"
    assert machine.retain({"instance_id": server}).output["removed"] == 1
    gone = backed.recover(recovery_id="drill-9", recovery_point=None, instance_id=server, at="latest")
    assert "was removed on " in gone.cause


def test_a_recovery_is_told_that_its_point_is_being_removed_even_before_a_snapshot_is_marked(machine, cloud, backed):
    server, run_id = backed.server.instance_id, backed.record["run_id"]
    change = {"TableName": "quiesce-table", "Key": {"pk": {"S": server}, "sk": {"S": f"run#{run_id}"}}}
    values = {":now": {"S": "2026-11-29T01:00:00+00:00"}}
    cloud.dynamodb.update_item(**change, UpdateExpression="SET removing_at = :now", ExpressionAttributeValues=values)
    assert f"'{run_id}' is being removed, because no rule of its policy keeps it" in backed.recover().cause


def test_once_retention_has_listed_a_servers_runs_a_recovery_reads_those_near_its_time_alone(five, monkeypatch):
    """A run that left nothing, and one that was removed, are listed too: the refusals name them."""
    generations, nights = five
    machine, server = generations.machine, generations.server.instance_id
    failed = generations.night(status="Failed", snapshots=[], snapshots_at=None, reason="no agent")
    generations.prune()
    asked = []
    query = Items.query
    monkeypatch.setattr(Items, "query", lambda items, pk, *rest: (asked.append(pk), query(items, pk, *rest))[1])
    latest = machine.recover({"instance_id": server, "at": "latest", "mode": "dry-run"})
    assert f"{failed}" in latest.cause
    assert "its run failed: no agent" in latest.cause
    gone = machine.recover({"instance_id": server, "recovery_point": nights[0], "mode": "dry-run"})
    assert f"'{nights[0]}' can't be recovered: was removed on " in gone.cause
    begun = machine.recover({"instance_id": server, "recovery_point": "nightly-0", "mode": "dry-run"})
    assert "recovery points begin with 'nightly-0'" in begun.cause
    # Of the runs' own items only those with that beginning were asked for.
    assert asked.count(server) == 1
