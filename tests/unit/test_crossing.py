"""What one state writes, the next one reads."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quiesce.policy import DELIVERY_S, FUNCTION_LIMIT_S, TargetSettings

limits = st.integers(-1, 700)
scripts = st.just("off") | st.fixed_dictionaries(
    {},
    optional={
        "from": st.sampled_from(["bucket", "server"]),
        "before_limit_s": limits,
        "after_limit_s": limits,
        "complete_limit_s": limits,
        "collect_output": st.booleans(),
    },
)
settings = st.fixed_dictionaries(
    {},
    optional={
        "volumes": st.sampled_from(["all", {"include": ["root"]}, {"exclude": ["xvdf", "tag:Scratch=true"]}]),
        "agent": st.sampled_from(["ssm", "none"]),
        "scripts": scripts,
        "consistency": st.sampled_from(["application-or-crash", "application", "crash"]),
        "freeze_limit_s": limits,
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
    assert 60 <= taken.freeze_limit_s <= 600
    if taken.scripts != "off":
        each = (taken.scripts.before_limit_s, taken.scripts.after_limit_s, taken.scripts.complete_limit_s)
        assert all(1 <= limit_s <= 600 for limit_s in each)
        assert sum(each) + DELIVERY_S <= FUNCTION_LIMIT_S
