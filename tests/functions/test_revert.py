"""The revert function, one step after the other as its machine calls it: what it answers, repeats and refuses."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from quiesce.errors import ChildDiffers, NotReady, RevertRefused, SnapshotLimitReached
from tests.functions.conftest import a_document
from tests.statemachine.builds import BackedShop
from tests.support.factories.policy import a_policy
from tests.support.machine import APPS, Machine, ended_event
from tests.support.wire import refused

BUILDS = "arn:aws:states:eu-central-1:123456789012:execution:revert:build-1"


@pytest.fixture
def backed(cloud, clock, wire, monkeypatch):
    """A shop with a recovery point whose volumes can be built."""
    machine = Machine(cloud, wire, clock)
    machine.plug_in(monkeypatch)
    cloud.put_scripts("orders")
    shop = cloud.add_server("SHOP", application=True)
    policy = a_policy(shop.instance_id, name="orders", vss={}, defaults={"scripts": {"from": "bucket"}})
    run = machine.start({"policy": cloud.put_policy(policy), "instance_id": shop.instance_id})
    assert run.status == "SUCCEEDED", run.cause
    wire.sent.clear()
    wire._counts.clear()
    return BackedShop(cloud, machine, shop, run.output)


@pytest.fixture
def revert(wire):
    """Call the function with an event; both pass through JSON."""

    def revert(event: dict[str, Any], remaining_ms: int = 800_000) -> Any:
        context = SimpleNamespace(
            aws_request_id="request-1", function_name="revert", get_remaining_time_in_millis=lambda: remaining_ms
        )
        with wire.listen():
            return json.loads(json.dumps(APPS["revert"].handler(json.loads(json.dumps(event)), context)))

    return revert


@pytest.fixture
def step(revert, backed):
    """Take a step of the shop's build, and keep its answer in the state document as the machine does."""
    document = a_document({"request": backed.request()})

    def step(name: str, **changes: Any) -> Any:
        part = {"part": changes.pop("part")} if "part" in changes else {}
        remaining_ms = changes.pop("remaining_ms", 800_000)
        answer = revert({"step": name, "document": {**document, **changes}, **part}, remaining_ms)
        if name not in ("build", "check"):
            document[{"await": "awaited"}.get(name, name)] = answer
        return answer

    step.document = document
    return step


@pytest.fixture
def through(step, clock):
    """Take the steps of the build up to one of them, with the time that EBS takes to complete a snapshot."""

    def through(last: str) -> Any:
        for name in ("look", "start", "build", "complete", "await", "check", "finish"):
            clock.now_s += 600 if name == "await" else 0
            if name in ("build", "check"):
                step.document[name] = [step(name, part=part) for part in step.document["start"]["parts"]]
            else:
                step(name)
            if name == last:
                return step.document.get(last)
        raise AssertionError(last)

    return through


def test_a_look_creates_nothing_and_says_what_can_be_built(step, wire, backed):
    looked = step("look")
    assert [copy["verdict"] for copy in looked["copies"]] == ["buildable"] * 3
    assert looked["estimate"]["blocks_written"] == sum(child["blocks_written"] for child in looked["children"]) > 0
    assert set(wire.sent) == {
        "ec2:DescribeSnapshots",
        "ec2:GetEbsEncryptionByDefault",
        "ebs:ListSnapshotBlocks",
        "ebs:GetSnapshotBlock",
    }
    assert backed.children() == []


def test_every_step_that_is_repeated_gives_the_same_answer_and_makes_nothing_again(step, through, wire, backed):
    through("finish")
    answers = json.loads(json.dumps(step.document))
    made = {each["id"] for each in backed.children()}
    wire.sent.clear()
    again = through("finish")
    assert again["children"] == answers["finish"]["children"]
    assert step.document["start"]["child_ids"] == answers["start"]["child_ids"]
    assert {each["id"] for each in backed.children()} == made
    assert not {"ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"} & set(wire.sent)


def test_a_call_without_time_says_from_where_the_next_one_goes_on(step, through, backed):
    through("start")
    [part, *_] = step.document["start"]["parts"]
    first = step("build", part=part, remaining_ms=70_000)
    assert not first["done"]
    assert part["first"] < first["first"] < first["after"] == part["after"]
    second = step("build", part=first)
    assert second["done"]


@pytest.mark.parametrize(
    ("before", "name", "call", "code", "error"),
    [
        ("look", "start", "ebs:StartSnapshot", "ServiceQuotaExceededException", SnapshotLimitReached),
        ("look", "start", "ebs:StartSnapshot", "ValidationException", RevertRefused),
        ("start", "build", "ebs:PutSnapshotBlock", "ResourceNotFoundException", NotReady),
        ("await", "check", "ebs:ListChangedBlocks", "ValidationException", NotReady),
    ],
)
def test_what_ebs_refuses_has_its_own_name(step, through, wire, before, name, call, code, error):
    through(before)
    wire.on(call, refused(code, 400), times=3)
    part = {"part": step.document["start"]["parts"][0]} if before != "look" else {}
    with pytest.raises(error):
        step(name, **part)
    wire.forget()


def test_a_child_that_is_not_what_was_planned_is_deleted_by_the_step_that_reads_it_back(step, through, backed):
    through("await")
    [child_id, *others] = step.document["start"]["child_ids"]
    backed.cloud.direct_apis.writes.made[child_id].digests[999] = b"x" * 32
    with pytest.raises(ChildDiffers, match="block 999 is not what was planned"):
        step("check", part=step.document["start"]["parts"][0])
    assert {each["id"] for each in backed.children()} == set(others)


def test_nothing_counts_as_consistent_before_all_of_it_was_read_back(through, backed):
    through("check")
    assert not any("quiesce:consistency" in each["tags"] for each in backed.children())
    assert len(backed.children()) == 3


@pytest.mark.parametrize(("on_failure", "left"), [("keep", 3), ("clean-up", 0)])
def test_an_event_of_an_execution_that_was_cut_off_deletes_what_nobody_goes_on_with(
    through, revert, backed, clock, on_failure, left
):
    through("build")
    data = json.dumps({"request": backed.request(on_failure=on_failure)})
    assert revert(ended_event(BUILDS, "ABORTED", data, clock.now_s)) is None
    assert len(backed.children()) == left


@pytest.mark.parametrize("data", ["7", "[]", '{"request": 7}'])
def test_an_event_whose_input_is_none_of_ours_changes_nothing(through, revert, backed, clock, data):
    through("start")
    assert revert(ended_event(BUILDS, "FAILED", data, clock.now_s)) is None
    assert len(backed.children()) == 3
