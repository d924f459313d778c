"""A run's identity: every step derives the same one, from any input."""

from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.backup.input import choose_target, read_request
from quiesce.backup.run import RUN_ID, UNKNOWN, RunIdentity, check_run_id, identify, identity_of
from quiesce.errors import PolicyRefused
from quiesce.policy.file import read_policy
from quiesce.policy.parts import INSTANCE_ID_PATTERN, NAME_PATTERN
from tests.support.factories.run import INSTANCE, a_policy_document, a_state, an_execution

TIME = "2026-03-14T01:30:00Z"
OTHER = "i-0fedcba9876543210"

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=12), children, max_size=3),
    max_leaves=10,
)
names = st.from_regex(NAME_PATTERN, fullmatch=True) | anything
instance_ids = st.from_regex(INSTANCE_ID_PATTERN, fullmatch=True) | anything
times = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}") | anything
inline = st.fixed_dictionaries(
    {}, optional={"name": names, "targets": st.lists(st.fixed_dictionaries({"instance_id": instance_ids}), max_size=2)}
)
inputs = anything | st.fixed_dictionaries(
    {}, optional={"policy": names | inline, "instance_id": instance_ids, "scheduled_time": times}
)


@given(inputs, st.text(min_size=1, max_size=80))
def test_whatever_the_input_a_run_has_a_usable_id_or_is_refused(raw: Any, name: str) -> None:
    run = identify(an_execution(name), raw)

    usable = RUN_ID.fullmatch(run.run_id) is not None
    assert usable or run.run_id == name
    with nullcontext() if usable else pytest.raises(PolicyRefused, match=r"^execution name: "):
        check_run_id(run.run_id)


@given(inputs)
def test_whatever_the_input_policy_and_server_are_valid_or_unknown(raw: Any) -> None:
    run = identify(an_execution(), raw)
    assert run.policy == UNKNOWN or (run.policy.isascii() and 1 <= len(run.policy) <= 40)
    assert run.instance_id == UNKNOWN or (run.instance_id.isascii() and run.instance_id.startswith("i-"))


@given(inputs)
def test_what_plan_accepts_is_never_a_run_of_an_unknown_server(raw: Any) -> None:
    try:
        request = read_request(raw)
        if isinstance(request.policy, dict):
            choose_target(read_policy(request.policy, "policy"), request)
    except PolicyRefused:
        return
    run = identify(an_execution(), raw)
    assert UNKNOWN not in (run.policy, run.instance_id)
    assert request.instance_id in (None, run.instance_id)


def test_a_run_started_by_hand_is_named_by_its_execution() -> None:
    run = identity_of(a_state(input={"policy": "files", "instance_id": INSTANCE}))
    assert run == RunIdentity("run-1", "files", INSTANCE)


def test_a_scheduled_run_is_named_by_its_scheduled_time_whatever_the_execution() -> None:
    raw = {"policy": "files", "instance_id": INSTANCE, "scheduled_time": TIME}
    first, second = identify(an_execution("a"), raw), identify(an_execution("b"), raw)
    assert first == second == RunIdentity(f"files-{INSTANCE}-20260314T013000Z", "files", INSTANCE)


@pytest.mark.parametrize(
    "changes",
    [{"policy": "no name"}, {"instance_id": "i-1"}, {"scheduled_time": "2026-3-14T1:30:00Z"}, {"policy": None}],
)
def test_a_scheduled_run_that_cannot_be_read_is_named_by_its_execution(changes: dict[str, Any]) -> None:
    raw = {"policy": "files", "instance_id": INSTANCE, "scheduled_time": TIME, **changes}
    assert identify(an_execution("by-hand"), raw).run_id == "by-hand"


@pytest.mark.parametrize("extra", [{}, {"instance_id": None}])
def test_an_inline_policy_of_one_target_names_policy_and_server(extra: dict[str, Any]) -> None:
    assert identify(an_execution(), {"policy": a_policy_document(), **extra}) == RunIdentity(
        "run-1", "files-nightly", INSTANCE
    )


def test_an_inline_policy_of_two_targets_names_no_server() -> None:
    targets = [{"instance_id": INSTANCE}, {"instance_id": OTHER}]
    assert identify(an_execution(), {"policy": a_policy_document(targets=targets)}).instance_id == UNKNOWN


@pytest.mark.parametrize("name", ["a", "A-b_9", "x" * 80])
def test_a_name_that_fits_tags_keys_and_metrics_is_taken(name: str) -> None:
    check_run_id(name)


@pytest.mark.parametrize("name", ["a.b", "café", "run+1", "a:b", "x" * 81, "", "a\n", "٢٠٢٦"])
def test_a_name_that_does_not_is_refused_in_words(name: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        check_run_id(name)
    assert str(refused.value) == (
        f"execution name: {name!r} has characters other than letters, digits, '-' and '_'. "
        "Remedy: start it under another name."
    )


@pytest.mark.parametrize("written", [" files ", "files.yaml", "policies/files.yml", "s3://bucket/policies/files.yaml"])
def test_a_policy_may_be_written_as_its_file_its_key_or_its_url_and_the_run_is_the_same(written: str) -> None:
    raw = {"policy": written, "instance_id": INSTANCE, "scheduled_time": "2026-03-14T01:30:00Z"}
    assert read_request(raw).policy == "files"
    assert identify(an_execution(), raw) == identify(an_execution(), {**raw, "policy": "files"})
