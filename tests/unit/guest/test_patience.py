"""Each verb's parameters, which the SSM document must accept, and waits that fit the functions."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quiesce.aws.clients import HASTY
from quiesce.backup.parameters import (
    SESSION_LIMIT_S,
    collect_parameters,
    inventory_parameters,
    session_parameters,
    stage_parameters,
)
from quiesce.backup.state import Plan
from quiesce.guest.documents import LOOK
from quiesce.guest.patience import (
    COLLECT_PATIENCE,
    INVENTORY_PATIENCE,
    STAGE_PATIENCE,
    complete_wait,
    freeze_wait,
    recovered_wait,
    sweep_wait,
    thaw_wait,
)
from quiesce.policy.target import SessionLimits
from tests.support.factories.run import INSTANCE, a_plan, some_settings
from tests.support.project import resources
from tests.support.ssm import guest_document

LINK = (
    "https://bucket.s3.eu-central-1.amazonaws.com/packages/admin/before_files-nightly.ps1?versionId=1&X-Amz-Signature=0"
)
UPLOAD = "https://bucket.s3.eu-central-1.amazonaws.com/logs/i-0123456789abcdef0/run-1/1.zip?X-Amz-Signature=0"
DECLARED = {kind: guest_document(kind, "bucket", "eu-central-1")["parameters"] for kind in ("look", "act")}
EXECUTION_LIMIT_S = int(guest_document("act", "bucket", "eu-central-1")["mainSteps"][0]["inputs"]["timeoutSeconds"])
# A call of SSM may hang for so long, and begin just before the patience ends.
HANGING_S = HASTY.connect_timeout + HASTY.read_timeout  # type: ignore[attr-defined]

limits = st.integers(1, 600)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any plan whose policy is valid, with the shortest and longest names."""
    names = ("before_limit_s", "after_limit_s", "complete_limit_s")
    scripts: dict[str, Any] = {name: draw(limits) for name in names}
    scripts |= {"from": draw(st.sampled_from(["bucket", "server"])), "collect_output": draw(st.booleans())}
    try:
        settings = some_settings(scripts=scripts, freeze_limit_s=draw(st.integers(60, 600)))
    except ValidationError:
        settings = some_settings(scripts={"from": scripts["from"]})
    policy = draw(st.sampled_from(["a", "A" + "z" * 39, "sql-nightly_2"]))
    instance_id = draw(st.sampled_from([INSTANCE, "i-0123abcd"]))
    run_id = draw(st.sampled_from(["r", f"{policy}-{instance_id}-20260314T013000Z", "r" * 80]))
    return a_plan(settings=settings, policy=policy, instance_id=instance_id, run_id=run_id)


def parameters_of_verbs(plan: Plan) -> dict[str, dict[str, str]]:
    """Return the parameters of every verb."""
    limits = plan.settings.limits
    waits = (freeze_wait(limits), thaw_wait(limits), complete_wait(limits))
    freeze, thaw, complete = (session_parameters(plan, 1, wait_s) for wait_s, _ in waits)
    return {
        "inventory": inventory_parameters(plan),
        "stage": stage_parameters(plan, LINK, "0" * 64),
        "freeze": freeze,
        "thaw": thaw,
        "complete": complete | {"Succeeded": "true"},
        "collect": collect_parameters(plan, 1, UPLOAD),
    }


@given(plans())
def test_the_document_takes_what_every_verb_is_asked_with(plan: Plan) -> None:
    for verb, parameters in parameters_of_verbs(plan).items():
        declared = DECLARED["look" if verb in LOOK else "act"]
        for name, value in ({"Verb": verb} | parameters).items():
            assert re.fullmatch(declared[name]["allowedPattern"], value), (verb, name, value)


@given(plans())
def test_every_wait_fits_who_waits(plan: Plan) -> None:
    limits = plan.settings.limits
    for wait, function in ((freeze_wait, "Freeze"), (thaw_wait, "Thaw"), (complete_wait, "Complete")):
        on_server_s, patience = wait(limits)
        # The server answers before AWS gives up on a command that arrived at once, and before its agent ends it.
        assert on_server_s < patience.limit_s
        assert on_server_s < EXECUTION_LIMIT_S
        assert patience.limit_s + 2 * HANGING_S <= timeout_s(f"{function}Function")


def timeout_s(function: str) -> int:
    return int(resources("AWS::Serverless::Function")[function]["Properties"]["Timeout"])


def test_plans_and_reports_verbs_fit_their_functions() -> None:
    before_freeze_s = INVENTORY_PATIENCE.limit_s + STAGE_PATIENCE.limit_s
    assert before_freeze_s + 2 * 2 * HANGING_S < timeout_s("PlanFunction")
    assert COLLECT_PATIENCE.limit_s + 2 * HANGING_S < timeout_s("ReportFunction")


def test_each_wait_covers_everything_that_may_have_to_end_first() -> None:
    limits = SessionLimits(before_s=1, create_s=40, after_s=20, ending_s=100, complete_s=300)
    waits = [wait(limits) for wait in (freeze_wait, thaw_wait, complete_wait)]
    assert [wait_s for wait_s, _ in waits] == [71, 191, 491]
    assert [patience.limit_s for _, patience in waits] == [161, 281, 581]


def test_a_clone_has_time_for_after_where_it_is_asked_for_it() -> None:
    assert recovered_wait(thaw=False)[0] == 90
    wait_s, patience = recovered_wait(thaw=True)
    assert 600 < wait_s < patience.limit_s
    # A function may take 900 s.
    assert patience.limit_s + 2 * HANGING_S < 900


def test_while_the_application_is_held_each_look_counts_and_else_none_does() -> None:
    limits = some_settings(scripts={}).limits
    waits = [thaw_wait, complete_wait, sweep_wait]
    free = [STAGE_PATIENCE, INVENTORY_PATIENCE, COLLECT_PATIENCE, *(w(limits)[1] for w in waits)]
    assert freeze_wait(limits)[1].look_every_s == 0.3
    assert {patience.look_every_s for patience in free} == {2.0}


def test_stage_hands_over_the_policys_limits_and_the_link_to_the_package() -> None:
    scripts = {"from": "bucket", "before_limit_s": 1, "after_limit_s": 20, "complete_limit_s": 300}
    plan = a_plan(settings=some_settings(scripts=scripts, freeze_limit_s=90))
    assert stage_parameters(plan, LINK, "0" * 64) == {
        "RunId": "run-1",
        "InstanceId": INSTANCE,
        "Policy": "files-nightly",
        "Owner": "admin",
        "Scripts": "bucket",
        "PackageLink": LINK,
        "PackageHash": "0" * 64,
        "BeforeTimeoutSeconds": "1",
        "CreateTimeoutSeconds": "1",
        "AfterTimeoutSeconds": "20",
        "CompleteTimeoutSeconds": "300",
        "FreezeLimitSeconds": "90",
        "SessionLimitSeconds": str(SESSION_LIMIT_S),
    }


@pytest.mark.parametrize(("collect", "text"), [(True, "true"), (False, "false")])
def test_the_scripts_output_is_collected_as_the_policy_says(text: str, *, collect: bool) -> None:
    plan = a_plan(settings=some_settings(scripts={"collect_output": collect}))
    assert collect_parameters(plan, 1, UPLOAD) == {
        "RunId": "run-1",
        "Attempt": "1",
        "UploadLink": UPLOAD,
        "CollectOutput": text,
    }
