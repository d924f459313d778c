"""Each state reads what the one before it wrote."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quiesce.backup.state import Complete, RunState, Thaw
from quiesce.guest.sessions import Session, without_listing
from quiesce.policy.parts import DELIVERY_S, FUNCTION_LIMIT_S
from quiesce.policy.target import TargetSettings
from tests.support.factories.run import (
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
    some_settings,
)

limits = st.integers(-1, 700)
scripts = st.just("off") | st.fixed_dictionaries(
    {},
    optional={
        "from": st.sampled_from(["bucket", "server"]),
        "before_limit_s": limits,
        "after_limit_s": limits,
        "complete_limit_s": limits,
        "collect_output": st.booleans(),
        "run_as": st.sampled_from([None, r".\backup", r"CORP\quiesce$"]),
    },
)
settings = st.fixed_dictionaries(
    {},
    optional={
        "volumes": st.sampled_from(["all", {"include": ["root"]}, {"exclude": ["xvdf", "tag:Scratch=true"]}]),
        "agent": st.sampled_from(["ssm", "none"]),
        "scripts": scripts,
        "consistency": st.sampled_from(["application-or-crash", "application", "crash"]),
        "freeze_limit_s": st.integers(-1, 1000),
    },
)


@given(settings)
def test_settings_that_are_taken_survive_the_way_through_the_state_machine(given_settings: dict[str, Any]) -> None:
    try:
        taken = TargetSettings.model_validate(given_settings)
    except ValidationError:
        return
    assert TargetSettings.model_validate_json(taken.model_dump_json()) == taken
    assert TargetSettings.model_validate(taken.model_dump(mode="json")) == taken


@given(settings)
def test_whatever_is_taken_fits_a_function_and_leaves_time_to_thaw(given_settings: dict[str, Any]) -> None:
    try:
        taken = TargetSettings.model_validate(given_settings)
    except ValidationError:
        return
    assert 60 <= taken.freeze_limit_s <= 900
    if taken.scripts != "off":
        each = (taken.scripts.before_limit_s, taken.scripts.after_limit_s, taken.scripts.complete_limit_s)
        assert all(1 <= limit_s <= 600 for limit_s in each)
        assert sum(each) + DELIVERY_S <= FUNCTION_LIMIT_S


EARLY, LATER, LAST = a_session(), a_session("thawed"), a_session("ended")
SESSIONS = {
    "nothing": ({}, None),
    "Freeze alone": ({"freeze": a_freeze(EARLY)}, EARLY),
    "Thaw after Freeze": ({"freeze": a_freeze(EARLY), "thaw": a_thaw(LATER)}, LATER),
    "Thaw that had nothing to do": ({"thaw": a_thaw(None), "complete": a_complete(None)}, None),
    "Complete at the end": ({"freeze": a_freeze(EARLY), "thaw": a_thaw(LATER), "complete": a_complete(LAST)}, LAST),
    "Complete without an answer of Thaw's": ({"freeze": a_freeze(EARLY), "complete": a_complete(LAST)}, LAST),
    "Complete that heard nothing": ({"thaw": a_thaw(LATER), "complete": a_complete(None)}, LATER),
}


@pytest.mark.parametrize(("parts", "session"), SESSIONS.values(), ids=SESSIONS)
def test_the_last_that_the_server_said_is_what_counts(parts: dict[str, Any], session: Session | None) -> None:
    assert a_state(**parts).session == session


def listing_copies(*ids: str, attempt: int = 1, phase: str = "thawed") -> Session:
    """A session of which Windows lists these shadow copies; none where it was not asked."""
    kind = dict.fromkeys(("device_object", "provider_id", "persistent", "client_accessible", "no_auto_release"))
    copies = [{"id": each, "set_id": "{0}", "volume_guid": "D", "no_writers": False, **kind} for each in ids]
    shadow = {
        "reason": "",
        "process_id": 1,
        "started_ticks": 1,
        "exit_code": 0,
        "set_id": "{0}",
        "copies": copies or None,
        "storage": [] if ids else None,
        "deleted": None,
        **dict.fromkeys(("started_ms", "created_ms", "ended_ms"), 1),
    }
    return a_session(phase, attempt=attempt, shadow=shadow)


def thawed(session: Session) -> Thaw:
    bare, listing = without_listing(session)
    return a_thaw(bare).model_copy(update={"listing": listing})


def completed(session: Session) -> Complete:
    bare, listing = without_listing(session)
    return a_complete(bare).model_copy(update={"listing": listing})


NOT_ASKED, ONE, TWO = (listing_copies(*ids, phase="ended") for ids in ((), ("{1}",), ("{1}", "{2}")))
LATER_TWO = listing_copies("{1}", "{2}", attempt=2, phase="ended")
AN_EARLIER_ATTEMPTS = {"freeze": a_freeze(EARLY, attempt=2), "thaw": thawed(TWO)}
LISTINGS = {
    "as Thaw heard it": ({"thaw": thawed(TWO)}, TWO),
    "Complete heard the same, or was not told": ({"thaw": thawed(TWO), "complete": completed(NOT_ASKED)}, TWO),
    "Complete heard another one": ({"thaw": thawed(TWO), "complete": completed(ONE)}, ONE),
    "Complete alone": ({"complete": completed(ONE)}, ONE),
    "sweep asked, and packed nothing": ({"thaw": thawed(TWO), "complete": a_complete(ONE)}, ONE),
    "another attempt's, whose Thaw was told the same": (
        {"freeze": a_freeze(EARLY, attempt=2), "thaw": thawed(TWO), "complete": completed(LATER_TWO)},
        LATER_TWO,
    ),
    "of an earlier attempt": (
        {**AN_EARLIER_ATTEMPTS, "complete": completed(listing_copies(attempt=2, phase="ended"))},
        listing_copies(attempt=2, phase="ended"),
    ),
}


@pytest.mark.parametrize(("parts", "session"), LISTINGS.values(), ids=LISTINGS)
def test_what_windows_last_said_of_this_attempts_shadow_copies_is_put_back(
    parts: dict[str, Any], session: Session
) -> None:
    assert a_state(**parts).session == session


def test_a_whole_run_survives_every_state_on_its_way() -> None:
    state = a_state(
        plan=a_plan(settings=some_settings(scripts={"from": "server"})),
        freeze=a_freeze(EARLY),
        snapshot=a_snapshot_set(a_snapshot(0, "pending")),
        thaw=a_thaw(LATER),
        await_snapshots=an_awaited(a_snapshot(0)),
        complete=a_complete(LAST),
        thaw_failure=a_failure(),
    )
    assert RunState.model_validate(state.model_dump(mode="json")) == state
    assert len(state.steps()) == 6


def test_what_the_state_machine_adds_for_itself_is_let_by_and_what_a_step_adds_is_not() -> None:
    document = a_state(freeze=a_freeze(EARLY)).model_dump(mode="json")
    assert RunState.model_validate({**document, "report_failure": {"Error": "X"}}).freeze == a_freeze(EARLY)
    document["freeze"]["colour"] = "red"
    with pytest.raises(ValidationError):
        RunState.model_validate(document)


def test_a_state_after_plan_cannot_do_without_it() -> None:
    assert a_state(plan=a_plan()).needed_plan() == a_plan()
    with pytest.raises(ValueError, match="the state document has no plan"):
        a_state().needed_plan()
