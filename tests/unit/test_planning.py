"""Plan's decision put together, the tags it carries, and settings."""

import pytest

from quiesce import planning, tags
from quiesce.planning import Origin, Server, possible_consistency
from quiesce.policy import VolumeChoice
from quiesce.run import RunIdentity
from quiesce.state import Plan
from quiesce.volumes import select
from tests.unit.factories import INSTANCE, NOW, a_policy, an_attached_volume

ATTACHED = [an_attached_volume(0), an_attached_volume(1)]
RUN = RunIdentity("run-1", "files-nightly", INSTANCE)


def decided(state: str = "running", **policy: object) -> Plan:
    made = a_policy(**policy)
    settings = made.settings_for(INSTANCE)
    assert settings
    server = Server(name="FILES01", state=state, platform="Windows")  # type: ignore[arg-type]
    return planning.decide(RUN, made, settings, server, select(ATTACHED, settings.volumes), Origin("quiesce", NOW))


def test_a_plan_says_who_what_and_how_good() -> None:
    plan = decided(owner="finance", defaults={"volumes": {"exclude": ["root", "xvdz"]}})
    assert (plan.run_id, plan.policy, plan.owner, plan.instance_id) == ("run-1", "files-nightly", "finance", INSTANCE)
    assert (plan.instance_name, plan.instance_state, plan.platform) == ("FILES01", "running", "Windows")
    assert [v.device for v in plan.volumes] == ["xvdb"]
    assert [e.device for e in plan.excluded] == ["/dev/sda1"]
    assert len(plan.notes) == 1
    assert plan.settings.volumes == VolumeChoice(exclude=["root", "xvdz"])
    assert (plan.planned_at, plan.calls) == (NOW, {})


def test_the_snapshots_carry_the_policys_tags_and_ours() -> None:
    assert decided(tags={"CostCentre": "4711"}).tags == {
        "CostCentre": "4711",
        "quiesce:stack": "quiesce",
        "quiesce:run": "run-1",
        "quiesce:policy": "files-nightly",
        "quiesce:owner": "admin",
        "quiesce:instance": INSTANCE,
    }


@pytest.mark.parametrize(("state", "words"), [("running", "power failure"), ("stopped", "nothing was writing")])
def test_a_backup_without_an_agent_is_crash_consistent_for_a_reason(state: str, words: str) -> None:
    assert decided(state).consistency == possible_consistency(state)  # type: ignore[arg-type]
    assert decided(state).consistency.level == "crash"
    assert words in decided(state).consistency.reason


def test_a_plan_survives_the_state_document() -> None:
    assert Plan.model_validate_json(decided().model_dump_json()) == decided()


def test_the_description_has_the_form_that_people_look_for() -> None:
    assert tags.description("files", INSTANCE) == f"quiesce policy files|instance: {INSTANCE}|"


def test_every_tag_of_ours_bears_the_prefix() -> None:
    assert all(key.startswith(tags.PREFIX) for key in tags.OURS)
