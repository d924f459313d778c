"""SnapshotByAws: AWS's document is sent once or not at all, whichever answer of the table, SSM or EC2 is lost."""

from collections.abc import Callable
from typing import Any

import pytest

from quiesce import errors
from quiesce.policy.target import DOCUMENT_LISTED_S
from quiesce.vss.aws_document import NAME
from sandbox.aws.snapshots import RULES
from sandbox.servers import Server
from tests.functions.conftest import a_document
from tests.functions.faults import each_fault
from tests.support.clock import Clock
from tests.support.cloud import Cloud
from tests.support.environment import TABLE
from tests.support.factories.policy import a_policy
from tests.support.wire import (
    FunctionDied,
    Wire,
    answer_garbled,
    answer_lost,
    connection_closed,
    dies_after,
    dies_before,
    refused,
    refuses_connections,
    unreachable,
)

Call = Callable[..., Any]
SEND, LIST, LOOK, MARK = "ssm:SendCommand", "ssm:ListCommands", "ssm:ListCommandInvocations", "dynamodb:UpdateItem"
BY_AWS = {"engine": "aws-vss"}
# Of the document itself.
DEFAULTS = {"CollectDiagnosticLogs": "False", "SaveVssMetadata": "False"}

# SSM says that it took no command.
CERTAIN = [
    pytest.param(refused("ThrottlingException"), errors.AwsThrottled, id="throttled"),
    pytest.param(refused("AccessDeniedException"), errors.AccessDenied, id="denied"),
    pytest.param(refused("InvalidInstanceId"), errors.AgentUnreachable, id="no such server"),
    pytest.param(refused("InvalidParameters"), errors.CommandRefused, id="other parameters"),
    pytest.param(refused("InvalidDocument"), errors.CommandRefused, id="no such document"),
    pytest.param(refused("DuplicateInstanceId"), errors.CommandRefused, id="anything else"),
    pytest.param(unreachable, errors.AwsUnavailable, id="unreachable"),
    pytest.param(refuses_connections, errors.AwsUnavailable, id="refuses connections"),
]
# SSM may have taken one; the number of commands that it did take.
UNCERTAIN = [
    pytest.param(answer_lost, 1, id="answer lost"),
    pytest.param(connection_closed, 1, id="connection closed"),
    pytest.param(answer_garbled, 1, id="garbled"),
    pytest.param(refused("InternalServerError", 500), 0, id="a fault of SSM"),
]


@pytest.fixture
def shop(cloud: Cloud) -> Server:
    cloud.put_scripts("orders")
    return cloud.add_server("SHOP", application=True)


def frozen_of(call: Call, shop: Server, **settings: Any) -> dict[str, Any]:
    """Return the state document after Freeze, of a policy that has AWS's document make the snapshots."""
    defaults = {"scripts": {"from": "bucket"}, "revert": "off", **settings}
    policy = a_policy(shop.instance_id, name="orders", vss=BY_AWS, defaults=defaults)
    document = a_document({"policy": policy})
    document = {**document, "plan": call("plan", document)}
    return {**document, "freeze": call("freeze", document)}


@pytest.fixture
def frozen(call: Call, shop: Server, wire: Wire) -> dict[str, Any]:
    document = frozen_of(call, shop)
    wire.sent.clear()
    return document


def ran(shop: Server) -> int:
    """Return how often the document began on the server."""
    return len(shop.windows.aws_vss.ran)


def mark(cloud: Cloud, shop: Server) -> str | None:
    return (cloud.lease(shop.instance_id) or {}).get("document_token")


def test_the_document_is_sent_once_with_the_runs_tags_and_every_snapshot_is_told(
    call: Call, cloud: Cloud, wire: Wire, shop: Server, frozen: dict[str, Any]
) -> None:
    answer = call("snapshot_by_aws", frozen)
    assert (answer["succeeded"], answer["fall_back"], ran(shop)) == (True, False, 1)
    assert {s["volume_id"]: s["app_consistent"] for s in answer["snapshots"]} == dict.fromkeys(
        shop.volumes.values(), True
    )
    assert all(frozen["plan"]["tags"].items() <= s["tags"].items() for s in cloud.snapshots())
    assert (wire.count(SEND), wire.count("ec2:CreateSnapshots"), mark(cloud, shop)) == (1, 0, "request-1")
    [sent] = [c for c in cloud.run_command.sent if c["DocumentName"] == NAME]
    assert answer["command_id"] == sent["CommandId"]
    assert shop.windows.aws_vss.ran == [{name: values[0] for name, values in sent["Parameters"].items()} | DEFAULTS]
    assert {name: values[0] for name, values in sent["Parameters"].items() if name != "tags"} == {
        "description": f"quiesce policy orders: instance {shop.instance_id}",
        "executionTimeout": "120",
        "CopyOnly": "False",
        "ExcludeBootVolume": "False",
        "CreateAmi": "False",
        "NoWriters": "False",
    }


def test_a_copy_without_the_root_is_what_the_document_is_asked_for(call: Call, cloud: Cloud, shop: Server) -> None:
    vss = {**BY_AWS, "backup_type": "copy"}
    frozen = frozen_of(call, shop, volumes={"exclude": ["root"]})
    frozen["plan"]["settings"]["vss"] = vss
    answer = call("snapshot_by_aws", frozen)
    assert {s["volume_id"] for s in answer["snapshots"]} == {shop.volumes["D:"], shop.volumes["E:"]}
    assert shop.windows.aws_vss.ran[0]["CopyOnly"] == "True"


@pytest.mark.parametrize(("fault", "error"), CERTAIN)
def test_an_answer_that_says_that_nothing_was_taken_allows_another_try(
    call: Call, cloud: Cloud, wire: Wire, shop: Server, frozen: dict[str, Any], fault: Any, error: type[Exception]
) -> None:
    wire.on(SEND, fault)
    with pytest.raises(error):
        call("snapshot_by_aws", frozen, "first")
    assert wire.sent == [MARK, SEND, MARK]
    assert (mark(cloud, shop), ran(shop)) == (None, 0)
    assert call("snapshot_by_aws", frozen, "second")["succeeded"]
    assert ran(shop) == 1


@pytest.mark.parametrize(("fault", "taken"), UNCERTAIN)
def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(
    call: Call, cloud: Cloud, wire: Wire, shop: Server, frozen: dict[str, Any], fault: Any, taken: int
) -> None:
    wire.on(SEND, fault)
    if taken:
        assert call("snapshot_by_aws", frozen, "first")["succeeded"]
    else:
        for name in ("first", "second"):
            with pytest.raises(errors.OutcomeUnknown, match=r"may have been sent to .*: SSM lists no such command"):
                call("snapshot_by_aws", frozen, name)
    assert (wire.count(SEND), ran(shop), mark(cloud, shop)) == (1, taken, "first")


@pytest.mark.parametrize(("death", "taken"), [(dies_before, 0), (dies_after, 1)])
def test_a_function_that_died_around_the_call_is_followed_by_a_look_and_no_second_command(
    call: Call, wire: Wire, shop: Server, frozen: dict[str, Any], death: Any, taken: int
) -> None:
    wire.on(SEND, death)
    with pytest.raises(FunctionDied):
        call("snapshot_by_aws", frozen, "first")
    if taken:
        assert call("snapshot_by_aws", frozen, "second")["succeeded"]
    else:
        with pytest.raises(errors.OutcomeUnknown):
            call("snapshot_by_aws", frozen, "second")
    assert (wire.count(SEND), ran(shop)) == (1, taken)


@pytest.mark.parametrize("at", [(LOOK, 2), ("ec2:DescribeSnapshots", 1)])
def test_a_function_that_died_while_it_waited_is_followed_by_one_that_joins_the_same_command(
    call: Call, wire: Wire, shop: Server, frozen: dict[str, Any], at: tuple[str, int]
) -> None:
    wire.on(at[0], dies_after, nth=at[1])
    with pytest.raises(FunctionDied):
        call("snapshot_by_aws", frozen, "first")
    assert call("snapshot_by_aws", frozen, "second")["succeeded"]
    assert (wire.count(SEND), ran(shop)) == (1, 1)


def test_another_runs_command_is_not_taken_for_this_ones(
    call: Call, cloud: Cloud, wire: Wire, shop: Server, frozen: dict[str, Any]
) -> None:
    assert call("snapshot_by_aws", frozen, "first")["succeeded"]
    cloud.run_command.sent[0]["Parameters"] = {"tags": ["Key=quiesce:run,Value=another"]}
    with pytest.raises(errors.OutcomeUnknown):
        call("snapshot_by_aws", frozen, "second")
    assert ran(shop) == 1


@pytest.mark.parametrize("fault", [refused("ThrottlingException"), refused("InternalServerError", 500), unreachable])
def test_looks_that_ssm_does_not_answer_are_repeated_while_there_is_time(
    call: Call, wire: Wire, shop: Server, frozen: dict[str, Any], fault: Any
) -> None:
    wire.on(SEND, answer_lost)
    wire.on(LIST, fault, times=3)
    wire.on(LOOK, fault, times=3)
    assert call("snapshot_by_aws", frozen)["succeeded"]
    assert ran(shop) == 1


def test_a_run_that_lost_its_server_or_is_swept_sends_nothing(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, shop: Server, frozen: dict[str, Any]
) -> None:
    key = {"pk": {"S": shop.instance_id}, "sk": {"S": "lease"}}
    cloud.dynamodb.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET swept = :run",
        ExpressionAttributeValues={":run": {"S": "run-1"}},
    )
    with pytest.raises(errors.LeaseLost):
        call("snapshot_by_aws", frozen)
    cloud.hold(shop.instance_id, "another-run", clock.now_s + 3600)
    with pytest.raises(errors.LeaseLost):
        call("snapshot_by_aws", frozen)
    assert (SEND in wire.sent, ran(shop)) == (False, 0)


def test_a_document_that_fails_and_makes_nothing_is_followed_by_plain_snapshots_if_the_policy_allows_them(
    call: Call, cloud: Cloud, shop: Server, frozen: dict[str, Any]
) -> None:
    shop.windows.aws_vss.times_out = True
    answer = call("snapshot_by_aws", frozen)
    assert (answer["succeeded"], answer["fall_back"], answer["snapshots"]) == (False, True, [])
    assert answer["reason"].endswith("failed: Thaw pipe connection timed out")
    # The document's mark does not keep Snapshot from its own.
    call("snapshot", {**frozen, "snapshot_by_aws": answer})
    assert cloud.snapshot_sets() == 1


def test_a_document_that_fails_is_followed_by_nothing_if_the_policy_wants_no_less(
    call: Call, cloud: Cloud, shop: Server
) -> None:
    shop.windows.aws_vss.times_out = True
    answer = call("snapshot_by_aws", frozen_of(call, shop, consistency="application"))
    assert (answer["succeeded"], answer["fall_back"], cloud.snapshots()) == (False, False, [])


def test_the_snapshots_of_a_document_that_failed_are_found_and_nothing_is_made_beside_them(
    call: Call, shop: Server, frozen: dict[str, Any]
) -> None:
    shop.windows.aws_vss.times_out = shop.windows.aws_vss.creates_when_timed_out = True
    answer = call("snapshot_by_aws", frozen)
    assert (answer["succeeded"], answer["fall_back"]) == (False, False)
    assert len(answer["snapshots"]) == 3
    assert not any(s.get("app_consistent") for s in answer["snapshots"])


def test_the_failed_documents_snapshots_that_ec2_lists_late_are_waited_for(
    call: Call, clock: Clock, shop: Server, frozen: dict[str, Any]
) -> None:
    shop.windows.aws_vss.times_out = shop.windows.aws_vss.creates_when_timed_out = True
    RULES.hidden_lookups = 3
    answer = call("snapshot_by_aws", frozen)
    assert (answer["fall_back"], len(answer["snapshots"])) == (False, 3)


def test_snapshots_that_ec2_does_not_list_in_time_are_left_to_awaitsnapshots(
    call: Call, clock: Clock, shop: Server, frozen: dict[str, Any]
) -> None:
    RULES.hidden_lookups = 1000
    before_s = clock.now_s
    answer = call("snapshot_by_aws", frozen)
    assert (answer["succeeded"], answer["fall_back"], answer["snapshots"]) == (True, False, [])
    assert clock.now_s - before_s >= DOCUMENT_LISTED_S


def test_a_document_that_has_not_ended_in_time_may_still_make_snapshots(
    call: Call, shop: Server, frozen: dict[str, Any]
) -> None:
    shop.windows.aws_vss.freeze_s = 1000.0
    with pytest.raises(errors.OutcomeUnknown, match="ended as ExecutionTimedOut"):
        call("snapshot_by_aws", frozen)


def test_an_agent_that_is_lost_meanwhile_leaves_an_unknown_outcome(
    call: Call, shop: Server, frozen: dict[str, Any]
) -> None:
    shop.windows.agent.connected = False
    with pytest.raises(errors.OutcomeUnknown, match="ended as DeliveryTimedOut"):
        call("snapshot_by_aws", frozen)


def test_a_document_that_ran_twice_left_two_sets_of_which_one_is_taken(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, shop: Server, frozen: dict[str, Any]
) -> None:
    """The SSM agent runs a command again after it was restarted."""
    shop.windows.aws_vss.tag_s = 20.0

    def restarts_the_agent(_request: Any, effect: Any) -> Any:
        shop.windows.agent.restart(clock.now_s)
        return effect()

    wire.on(LOOK, restarts_the_agent, nth=12)
    answer = call("snapshot_by_aws", frozen)
    assert (ran(shop), cloud.snapshot_sets(), len(answer["snapshots"])) == (2, 2, 3)
    assert len({s["started_at"] for s in answer["snapshots"]}) == 1


@pytest.mark.parametrize(("call_name", "nth", "fault", "times", "error"), each_fault([(MARK, 1)]))
def test_without_its_mark_nothing_is_sent(
    call: Call, wire: Wire, frozen: dict[str, Any], call_name: str, nth: int, fault: Any, times: int, error: str
) -> None:
    wire.on(call_name, fault, nth=nth, times=times)
    with pytest.raises(getattr(errors, error), match=r"^dynamodb:UpdateItem"):
        call("snapshot_by_aws", frozen)
    assert wire.sent == [MARK] * times
