"""Plan's decision: its parts, the snapshots' tags, and the consistency that it can promise."""

import pytest

from quiesce import tags
from quiesce.backup import planning
from quiesce.backup.planning import Origin, Server, possible_consistency, without_asking
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import Plan
from quiesce.backup.volumes import select
from quiesce.errors import ServerRefused
from quiesce.policy.parts import VolumeChoice
from tests.support.factories.run import INSTANCE, NOW, a_plan, a_policy, an_attached_volume, some_settings

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
def test_a_backup_that_asks_nobody_is_crash_consistent_for_a_reason(state: str, words: str) -> None:
    plan = decided(state)
    assert plan.consistency == possible_consistency(state, plan.settings)  # type: ignore[arg-type]
    assert (plan.consistency.level, plan.freezes) == ("crash", False)
    assert words in plan.consistency.reason


@pytest.mark.parametrize(
    ("state", "level", "words"),
    [("running", "application", "before script will be asked"), ("stopped", "crash", "nothing was writing")],
)
def test_a_backup_with_scripts_can_be_application_consistent_where_the_server_runs(
    state: str, level: str, words: str
) -> None:
    plan = decided(state, defaults={"scripts": {}})
    assert (plan.consistency.level, plan.freezes) == (level, True)
    assert words in plan.consistency.reason


OBSTACLE = "the server's SSM agent has lost its connection"


def test_an_obstacle_makes_a_crash_consistent_plan_with_the_obstacle_as_its_reason() -> None:
    asking = a_plan(settings=some_settings(scripts={}), notes=["kept"])
    plan = without_asking(asking, OBSTACLE)
    assert (plan.freezes, plan.consistency.level) == (False, "crash")
    assert plan.consistency.reason == f"the application could not be frozen: {OBSTACLE}"
    same = {"freezes", "consistency"}
    assert plan.model_dump(exclude=same) == asking.model_dump(exclude=same)
    assert plan.settings.freezes, "the verdict needs to know that the policy asks the application"


def test_an_obstacle_is_a_refusal_where_the_policy_takes_nothing_less() -> None:
    with pytest.raises(ServerRefused) as refused:
        without_asking(a_plan(settings=some_settings(scripts={}, consistency="application")), OBSTACLE)
    assert str(refused.value) == (
        f"consistency: the policy wants application consistency, and {OBSTACLE}. "
        "Remedy: mend it, or set consistency to application-or-crash in the policy."
    )


@pytest.mark.parametrize("scripts", ["off", {"from": "server", "before_limit_s": 7}])
def test_a_plan_survives_the_state_document(scripts: object) -> None:
    plan = decided(defaults={"scripts": scripts})
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan


@pytest.mark.parametrize(("vss", "end"), [(False, ""), (True, " VSS snapshot")])
def test_the_description_has_the_form_that_people_look_for(end: str, *, vss: bool) -> None:
    assert tags.description("files", INSTANCE, vss=vss) == f"quiesce policy files|instance: {INSTANCE}|{end}"
