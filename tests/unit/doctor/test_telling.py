"""Who is told of servers below their policies' levels, and what the input may be."""

from datetime import UTC, datetime

import pytest

from quiesce.doctor.findings import Level, Ready
from quiesce.doctor.state import Item, Summary, read_doctor_request, wanted_level
from quiesce.doctor.telling import TOLD, below, mail_text
from quiesce.errors import DoctorRefused
from quiesce.policy.target import TargetSettings

SERVER = "i-0123456789abcdef0"


def summary(ready: Ready, server: str = SERVER) -> Summary:
    levels: tuple[Level, ...] = ("crash", "scripts", "vss", "aws-vss")
    return Summary(
        instance_id=server,
        name="WEB",
        at=datetime(2026, 11, 29, tzinfo=UTC),
        execution="e",
        best="crash",
        ready=dict.fromkeys(levels, ready),
        lacks={level: ["writers"] for level in levels},
    )


@pytest.mark.parametrize(("ready", "told"), [("no", True), ("not known", False), ("yes", False)])
def test_only_of_a_server_that_surely_lacks_something_anybody_is_told(ready: Ready, told: bool) -> None:
    found = below([Item(server=SERVER, wants={"nightly": "vss"})], {SERVER: summary(ready)})
    assert found == ({SERVER: "policy nightly wants vss, and it lacks: writers"} if told else {})


def test_a_server_that_no_policy_wants_anything_of_or_that_was_not_examined_is_not_below() -> None:
    assert below([Item(server=SERVER)], {SERVER: summary("no")}) == {}
    assert below([Item(server=SERVER, wants={"nightly": "vss"})], {}) == {}


def test_a_mail_names_the_first_servers_and_how_many_more_there_are() -> None:
    fallen = {f"i-{number:017x}": "words" for number in range(TOLD + 3)}
    text = mail_text(fallen, dict.fromkeys(fallen, "WEB"), "s3://bucket/doctor/latest.json")
    assert text.count("WEB i-") == TOLD
    assert "and 3 more" in text


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        (TargetSettings(consistency="crash"), "crash"),
        (TargetSettings(vss="off", scripts={"from": "server"}), "scripts"),
        (TargetSettings(), "vss"),
        (TargetSettings(vss={"engine": "aws-vss"}, revert="off"), "aws-vss"),
    ],
)
def test_what_a_policy_wants_of_a_server_is_what_its_settings_freeze(settings: TargetSettings, level: str) -> None:
    assert wanted_level(settings) == level


@pytest.mark.parametrize("data", [None, [], {"instance_id": "web"}, {"tags": {"a": "b"}, "policy": "x"}, {"more": 1}])
def test_an_input_that_is_none_is_refused(data: object) -> None:
    with pytest.raises(DoctorRefused):
        read_doctor_request(data)


def test_what_the_console_of_step_functions_adds_is_left_out() -> None:
    assert read_doctor_request({"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn"}).words == "all policies"
