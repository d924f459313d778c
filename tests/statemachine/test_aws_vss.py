"""Runs whose snapshots AWS's own document makes by VSS, between before and after."""

import pytest

from quiesce.backup.parameters import SESSION_LIMIT_S
from quiesce.backup.planning import BY_AWS
from quiesce.vss.aws_document import NAME
from sandbox.aws.snapshots import RULES, Fate
from tests.statemachine.conftest import TORN_SEED
from tests.statemachine.truth import assert_failed, record_of
from tests.support.factories.policy import a_policy
from tests.support.wire import answer_lost, dies_after, dies_before, refused

SCRIPTS = {"from": "bucket"}
SEND, NOT_TAGGED = "ssm:SendCommand", "not tagged AppConsistent=true by AWS's document: as after a power failure"
# The number of the command that has AWS's document: after inventory, stage and freeze.
DOCUMENT = 4


@pytest.fixture
def start(machine, cloud, torn_shop):
    """Run a backup of a shop that is torn at the instant of its snapshots, unless it is frozen for them."""
    cloud.put_scripts("orders")

    def start(vss=None, **settings):
        defaults = {"scripts": SCRIPTS, "revert": "off", **settings}
        policy = a_policy(
            torn_shop.instance_id, name="orders", vss={"engine": "aws-vss", **(vss or {})}, defaults=defaults
        )
        return machine.start({"policy": cloud.put_policy(policy), "instance_id": torn_shop.instance_id})

    return start


@pytest.fixture
def components(torn_shop):
    return torn_shop.windows.aws_vss


def examined(cloud):
    return cloud.servers.examine({snapshot["volume_id"]: snapshot["id"] for snapshot in cloud.snapshots()})


def ending(run):
    return run.output["status"], run.output["consistency"]["level"]


@pytest.mark.chapter("6.3.1 by-aws")
def test_awss_document_freezes_between_before_and_after_and_its_tag_is_read_back(machine, cloud, start, torn_shop):
    run = start()
    assert ending(run) == ("Successful", "application"), run.output["reason"]
    assert run.output["consistency"]["reason"] == (
        "AWS's document made the snapshots by VSS, and each is tagged AppConsistent=true, "
        "while the before script held the application"
    )
    assert torn_shop.application.asked == ["before", "after 1", "complete 1"]
    assert [s["app_consistent"] for s in run.output["snapshots"]] == [True] * 3
    assert machine.wire.count("ec2:CreateSnapshots") == 1, "Plan's DryRun alone: the server itself creates them"
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"application"}
    assert {s["tags"]["quiesce:run"] for s in cloud.snapshots()} == {run.name}
    assert (run.output["shadow"], run.output["evidence"], run.output["revert"]) == (None, None, "off")
    assert BY_AWS in run.output["notes"]
    [sent] = [command for command in cloud.run_command.sent if command["DocumentName"] == NAME]
    assert any(sent["CommandId"] in note for note in run.output["notes"])
    window = run.output["freeze_window"]
    assert window["total_ms"] >= window["snapshots_ms"] >= 7000, "the document's time is in it"
    assert cloud.lease(torn_shop.instance_id) is None


def test_without_scripts_the_document_alone_makes_an_application_consistent_recovery_point(cloud, start, torn_shop):
    run = start(scripts="off")
    assert ending(run) == ("Successful", "application"), run.output["reason"]
    assert run.output["consistency"]["reason"].endswith("each is tagged AppConsistent=true")
    assert torn_shop.application.asked == []
    assert not examined(cloud).torn


def test_the_shop_is_torn_without_the_freeze(cloud, machine, torn_shop):
    """So that the test before shows something."""
    policy = a_policy(torn_shop.instance_id, name="plain")
    machine.start({"policy": cloud.put_policy(policy), "instance_id": torn_shop.instance_id})
    assert examined(cloud).torn
    assert TORN_SEED


@pytest.mark.parametrize("untagged", [1, 3])
def test_one_snapshot_without_the_tag_takes_the_consistency_away(start, components, untagged, torn_shop):
    """The guide: the command may complete although the backup of a volume has failed."""
    components.untagged = untagged
    run = start()
    assert ending(run) == ("PartiallySuccessful", "crash")
    wrong = [s["snapshot_id"] for s in run.output["snapshots"] if not s["app_consistent"]]
    assert len(wrong) == untagged
    assert run.output["consistency"]["reason"].endswith(NOT_TAGGED)
    assert all(snapshot in run.output["consistency"]["reason"] for snapshot in wrong)
    assert torn_shop.application.asked[-1] == "complete 0"


def test_a_document_that_fails_is_followed_by_plain_snapshots_while_before_still_holds(
    cloud, start, components, torn_shop
):
    components.times_out = True
    run = start()
    assert ending(run) == ("PartiallySuccessful", "crash")
    assert "failed: Thaw pipe connection timed out" in run.output["consistency"]["reason"]
    assert run.states.index("SnapshotByAws") < run.states.index("Snapshot") < run.states.index("Thaw")
    assert torn_shop.application.asked == ["before", "after 1", "complete 0"]
    assert (cloud.snapshot_sets(), examined(cloud).torn) == (1, False)


def test_a_document_that_fails_ends_a_run_that_wants_no_less_than_the_application(
    machine, cloud, start, components, torn_shop
):
    components.times_out = True
    run = start(consistency="application")
    words = "Thaw pipe connection timed out, and the policy wants application consistency"
    assert_failed(cloud, run, torn_shop.instance_id, "NotFrozen", words)
    assert (cloud.snapshots(), torn_shop.application.asked) == ([], ["before", "after 1", "complete 0"])


def test_snapshots_that_the_failed_document_left_are_the_recovery_point_and_no_others_are_made(
    cloud, start, components, machine
):
    components.times_out = components.creates_when_timed_out = True
    run = start()
    assert ending(run) == ("PartiallySuccessful", "crash")
    assert (cloud.snapshot_sets(), len(run.output["snapshots"])) == (1, 3)
    assert "Snapshot" not in run.states


@pytest.mark.chapter("6.3.1 by-aws")
@pytest.mark.parametrize(
    ("version", "words"),
    [
        (None, "AwsVssComponents are not installed on the server: run AWS-ConfigureAWSPackage"),
        ("2.3.0", "AwsVssComponents on the server: version 2.3.0 is older than 2.3.1"),
    ],
)
def test_components_that_are_missing_or_old_are_told_before_anything_is_held(
    cloud, machine, start, components, torn_shop, version, words
):
    torn_shop.windows.guest.condition.aws_components = version
    run = start()
    assert ending(run) == ("PartiallySuccessful", "crash")
    assert words in run.output["consistency"]["reason"]
    assert ("SnapshotByAws" in run.states, components.ran) == (False, [])
    # What the scripts can do is done all the same.
    assert torn_shop.application.asked == ["before", "after 1", "complete 0"]

    strict = start(consistency="application")
    assert (strict.status, strict.error) == ("FAILED", "ServerRefused")
    assert words in strict.cause
    assert torn_shop.application.asked == ["before", "after 1", "complete 0"], "nothing was held"


def test_whether_the_components_are_there_may_be_unknown(start, torn_shop):
    torn_shop.windows.guest.condition.unanswered = {"awsComponents"}
    run = start()
    assert ending(run) == ("Successful", "application")
    assert any("AwsVssComponents are installed, and new enough, is not known" in note for note in run.output["notes"])


def test_a_role_without_the_rights_is_told_in_awss_words(start, components):
    components.may_snapshot = False
    run = start()
    assert ending(run) == ("PartiallySuccessful", "crash")
    assert "not authorized to perform this operation: ec2:CreateSnapshots" in run.output["consistency"]["reason"]


def test_files_of_writers_are_refused_because_the_document_takes_none(cloud, start, torn_shop):
    cloud.s3.put_object(
        Bucket="quiesce-bucket", Key="scripts/admin/vss_exclude_writers_orders.txt", Body=b"{" + b"a" * 8 + b"}"
    )
    run = start()
    assert (run.status, run.error) == ("FAILED", "PolicyRefused")
    assert "AWS's document takes no list of writers" in run.cause


def test_a_before_script_that_fails_does_not_keep_the_document_from_its_snapshots(cloud, start, torn_shop):
    cloud.put_scripts("orders", before="# sandbox: exit 3\n")
    run = start()
    assert ending(run) == ("PartiallySuccessful", "crash")
    assert "before script ended with exit code 3" in run.output["consistency"]["reason"]
    assert [s["app_consistent"] for s in run.output["snapshots"]] == [True] * 3


def test_a_server_that_has_thawed_itself_before_the_document_was_not_held(machine, cloud, start, torn_shop):
    def take_too_long():
        machine.clock.now_s += 300
        cloud.servers.advance()

    machine.before("snapshot_by_aws", take_too_long)
    run = start()
    assert ending(run) == ("PartiallySuccessful", "crash")
    assert run.output["session"]["auto_thawed"]
    assert [s["app_consistent"] for s in run.output["snapshots"]] == [True] * 3


def test_a_server_that_does_not_answer_freeze_gets_plain_snapshots_and_no_other_command(machine, start, components):
    machine.before("freeze", lambda: machine.wire.on(SEND, refused("InvalidInstanceId")))
    run = start()
    assert ending(run) == ("PartiallySuccessful", "crash")
    assert ("SnapshotByAws" in run.states, "Snapshot" in run.states, components.ran) == (False, True, [])
    assert "AWS's document was not sent, because the server did not answer Freeze" in run.output["reason"]


@pytest.mark.parametrize("fault", [answer_lost, dies_after])
def test_a_lost_answer_of_the_command_is_found_again_and_the_run_is_good(machine, cloud, start, components, fault):
    machine.wire.on(SEND, fault, nth=DOCUMENT)
    run = start()
    assert ending(run) == ("Successful", "application"), run.output["reason"]
    assert (len(components.ran), cloud.snapshot_sets()) == (1, 1)


def test_a_function_that_dies_before_it_sends_costs_the_run_its_snapshots_and_never_sends_twice(
    machine, cloud, start, components, torn_shop
):
    machine.wire.on(SEND, dies_before, nth=DOCUMENT)
    run = start()
    assert_failed(cloud, run, torn_shop.instance_id, "OutcomeUnknown", "may have been sent")
    assert (components.ran, torn_shop.application.asked) == ([], ["before", "after 1", "complete 0"])
    assert any("look for the tag quiesce:run" in note for note in record_of(cloud, run, torn_shop.instance_id)["notes"])


@pytest.mark.parametrize("error", ["Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown"])
def test_a_function_that_died_after_all_is_done_joins_what_is_there(machine, cloud, start, components, error):
    machine.lambda_fails("snapshot_by_aws", error, after_the_call=True)
    run = start()
    assert ending(run) == ("Successful", "application"), run.output["reason"]
    assert (len(components.ran), cloud.snapshot_sets()) == (1, 1)


def and_then(action):
    """Answer, and let something happen right after it."""

    def fault(_request, effect):
        answer = effect()
        action()
        return answer

    return fault


@pytest.mark.parametrize("scripts", [SCRIPTS, "off"])
def test_snapshots_of_a_document_whose_end_nobody_heard_are_adopted_by_their_tags(
    machine, cloud, start, components, torn_shop, scripts
):
    """The agent loses its network once the document has begun: the server's own deadline thaws."""

    def lose_the_agent():
        torn_shop.windows.agent.connected = False

    machine.wire.on("ssm:ListCommandInvocations", and_then(lose_the_agent), nth=3)
    run = start(scripts=scripts)
    assert ending(run) == ("PartiallySuccessful", "crash")
    assert (len(components.ran), cloud.snapshot_sets(), len(run.output["snapshots"])) == (1, 1, 3)
    assert "it is not known when AWS's document ended" in run.output["reason"]
    assert any("were found by their tag" in note for note in run.output["notes"])
    machine.clock.now_s += SESSION_LIMIT_S
    cloud.servers.advance()
    assert not torn_shop.application.held


def test_snapshots_that_ec2_lists_late_are_found_by_their_tags_and_count(start):
    RULES.hidden_lookups = 20
    run = start()
    assert ending(run) == ("Successful", "application"), run.output["reason"]
    assert any("were found by their tag, later than its end" in note for note in run.output["notes"])


def test_a_second_set_of_a_command_that_ran_twice_is_named_and_left(machine, cloud, start, components, torn_shop):
    """The SSM agent runs a command again after it was restarted."""
    components.tag_s = 30.0

    def restart():
        torn_shop.windows.agent.restart(machine.clock.now_s)

    machine.wire.on("ssm:ListCommandInvocations", and_then(restart), nth=10)
    run = start()
    assert (len(components.ran), cloud.snapshot_sets(), len(run.output["snapshots"])) == (2, 2, 3)
    named = {s["snapshot_id"] for s in run.output["snapshots"]}
    others = {s["id"] for s in cloud.snapshots()} - named
    [note] = [note for note in run.output["notes"] if "are in no recovery point" in note]
    assert all(other in note for other in others)
    # The first set was made, and the second one tagged: the agent had ended the script in between.
    assert ending(run)[1] == "crash"


def test_a_snapshot_that_fails_fails_the_run(cloud, start, torn_shop):
    RULES.order(torn_shop.volumes["D:"], Fate.ERRS)
    run = start()
    assert (run.status, run.error) == ("FAILED", "SnapshotsIncomplete")
    assert torn_shop.application.asked[-1] == "complete 0"


def test_too_many_pending_snapshots_after_the_document_has_failed_make_no_second_attempt(
    machine, cloud, start, components, torn_shop
):
    components.times_out = True
    machine.wire.on("ec2:CreateSnapshots", refused("PendingSnapshotLimitExceeded"), nth=2)
    run = start()
    assert (run.status, run.error) == ("FAILED", "SnapshotRefused")
    assert (len(components.ran), torn_shop.application.asked.count("before")) == (1, 1)


@pytest.mark.parametrize("state", ["SnapshotByAws", "Made?"])
def test_a_run_that_is_stopped_while_the_document_runs_is_thawed_and_its_snapshots_are_named(
    machine, cloud, start, torn_shop, state
):
    machine.stop_in(state)
    run = start()
    assert run.status == "ABORTED"
    machine.sweep(run)
    record = record_of(cloud, run, torn_shop.instance_id)
    assert torn_shop.application.asked == ["before", "after 1", "complete 0"]
    assert {s["snapshot_id"] for s in record["snapshots"]} == {s["id"] for s in cloud.snapshots()}
    assert cloud.lease(torn_shop.instance_id) is None


def test_sweep_waits_for_the_documents_snapshots_that_ec2_lists_late(machine, cloud, start, torn_shop):
    RULES.hidden_lookups = 20
    machine.stop_in("SnapshotByAws")
    run = start()
    machine.sweep(run)
    record = record_of(cloud, run, torn_shop.instance_id)
    assert {s["snapshot_id"] for s in record["snapshots"]} == {s["id"] for s in cloud.snapshots()}


def test_a_recovery_takes_the_volumes_as_they_are_in_the_snapshots(machine, cloud, start, torn_shop):
    assert ending(start()) == ("Successful", "application")
    recovered = machine.recover(
        {"instance_id": torn_shop.instance_id, "at": "latest whole", "beside_the_old_one": True}
    )
    assert (recovered.status, recovered.error) == ("SUCCEEDED", None), recovered.cause
    assert recovered.output["consistency"].startswith("application-consistent")
    assert all("as of" in words and "shadow copy" not in words for words in recovered.output["volumes"])
