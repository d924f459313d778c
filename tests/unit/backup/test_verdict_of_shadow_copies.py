"""The verdict where the policy has VSS: scripts x shadow copies x snapshots x thaw x ending, and evidence."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from quiesce.backup.findings import gather
from quiesce.backup.shadow_problems import has_good_shadow_copies
from quiesce.backup.state import Retrying, RunState
from quiesce.backup.verdict import judge
from quiesce.guest.sessions import GuestShadowCopy, Session, Shadow, ShadowStorage
from quiesce.points.evidence import Build, VerifiedCopy
from quiesce.points.parts import ShadowCopy, ShadowOutcome
from quiesce.revert.request import VerifiedRun
from quiesce.vss.plan import ShadowPlan, ShadowVolume
from quiesce.vss.script import SYSTEM_PROVIDER
from tests.support.factories.run import (
    a_complete,
    a_failure,
    a_freeze,
    a_plan,
    a_script,
    a_session,
    a_snapshot,
    a_snapshot_set,
    a_state,
    a_thaw,
    an_awaited,
    some_settings,
)
from tests.support.project import ROOT

GUID, SHADOW_ID, SET_ID = "\\\\?\\volume{d}\\", "{1}", "{2}"
SHADOW_PLAN = ShadowPlan(volumes=[ShadowVolume(volume_guid=GUID, path="D:", volume_id="")], homes=[GUID])
WHOLE = (a_snapshot(0), a_snapshot(1))
COPY = ShadowCopy(shadow_id=SHADOW_ID, volume_guid=GUID, path="D:", volume_id="", storage_guid=GUID)
GOOD = ShadowOutcome(good=True, kind="created", reason="made", set_id=SET_ID, copies=[COPY])
FAILED = ShadowOutcome(good=False, kind="writers-failed", reason="SqlServerWriter timed out", wait_s=600)


def the_shadow(**changes: Any) -> Shadow:
    copy = GuestShadowCopy(
        id=SHADOW_ID,
        set_id=SET_ID,
        volume_guid=GUID,
        device_object=None,
        provider_id=SYSTEM_PROVIDER,
        persistent=True,
        client_accessible=False,
        no_auto_release=True,
        no_writers=False,
    )
    fields = {
        "reason": "",
        "process_id": 1,
        "started_ticks": 1,
        "exit_code": 0,
        "started_ms": 1,
        "created_ms": 1,
        "ended_ms": 1,
        "set_id": SET_ID,
        "copies": [copy],
        "storage": [ShadowStorage(volume_guid=GUID, storage_guid=GUID, used_bytes=1, allocated_bytes=2, max_bytes=3)],
        "deleted": True,
    }
    return Shadow.model_validate({**fields, **changes})


@dataclass(frozen=True)
class Way:
    """What happened in a run; docs/use/consistency.md has the same in its table."""

    scripts: str  # "off", "good", "before failed", "after failed", "complete failed"
    vss: str  # "good", "failed", "impossible", "gone at thaw", "killed"
    snapshots: str  # "good", "one failed", "adopted"
    thaw: str  # "asked", "by itself", "runner lost", "given up"
    ending: str  # "completed", "not told"
    evidence: str = "present"  # a verdict, "without writers", "no answer", "nobody looked"
    required: bool = False
    build: str = "buildable"  # a verdict, "nobody looked"
    must_build: bool = False


ALL = [
    Way(*parts)
    for parts in product(
        ("off", "good", "before failed", "after failed", "complete failed"),
        ("good", "failed", "impossible", "gone at thaw", "killed"),
        ("good", "one failed", "adopted"),
        ("asked", "by itself", "runner lost", "given up"),
        ("completed", "not told"),
    )
]


SEEN = ("present", "absent", "damaged", "without writers", "not verifiable", "no answer", "nobody looked")
LOOKED = [
    Way(scripts, vss, snapshots, "asked", "completed", evidence, required)
    for scripts, vss, snapshots, evidence, required in product(
        ("off", "good", "before failed", "after failed"),
        ("good", "failed", "gone at thaw"),
        ("good", "adopted"),
        SEEN,
        (False, True),
    )
]
BUILDS = [
    Way(scripts, vss, "good", "asked", "completed", evidence, False, build, must_build)
    for scripts, vss, evidence, build, must_build in product(
        ("good", "before failed"),
        ("good", "failed"),
        ("present", "not verifiable", "no answer"),
        ("buildable", "not buildable", "not known", "nobody looked"),
        (False, True),
    )
]


def the_build(way: Way) -> Build | None:
    if way.build == "nobody looked":
        return None
    verdict: Any = way.build if way.evidence == "present" else "not known"
    return Build(verdict=verdict, reason="D: it is")


def the_evidence(way: Way) -> VerifiedRun | None:
    seen = way.evidence
    verdict: Any = "present" if seen == "without writers" else seen
    if seen in ("no answer", "nobody looked"):
        return None
    copy = VerifiedCopy(
        shadow_id=SHADOW_ID, path="D:", verdict=verdict, reason="so", writers_involved=seen != "without writers"
    )
    return VerifiedRun(verdict=verdict, reason="D: so", build=the_build(way), copies=[copy])


def the_session(way: Way) -> Session:
    bad = a_script(succeeded=False)
    shadow = {
        "gone at thaw": the_shadow(copies=[]),
        "killed": the_shadow(reason="Lost"),
        "impossible": None,
    }.get(way.vss, the_shadow(reason="" if way.ending == "completed" else "EndTimedOut"))
    return a_session(
        "ended",
        before=bad if way.scripts == "before failed" else a_script(),
        after=bad if way.scripts == "after failed" else a_script("1"),
        complete=bad if way.scripts == "complete failed" else a_script("1"),
        auto_thawed=way.thaw == "by itself",
        runner_lost=way.thaw == "runner lost",
        shadow=shadow,
    )


def the_run(way: Way) -> RunState:
    evidence = "required" if way.required else "optional"
    buildable = "required" if way.must_build else "optional"
    scripts: Any = "off" if way.scripts == "off" else {}
    settings = some_settings(vss={}, scripts=scripts, evidence=evidence, buildable=buildable)
    possible = way.vss != "impossible"
    plan = a_plan(
        settings=settings, shadow=SHADOW_PLAN if possible else None, no_shadow="" if possible else "it is ReFS"
    )
    outcome = None if not possible else FAILED if way.vss == "failed" else GOOD
    session = the_session(way)
    snapshots = (a_snapshot(0), a_snapshot(1, "error")) if way.snapshots == "one failed" else WHOLE
    state = a_state(
        plan=plan,
        freeze=a_freeze(session, shadow=outcome),
        snapshot=None if way.snapshots == "adopted" else a_snapshot_set(*snapshots),
        thaw=a_thaw(session),
        await_snapshots=an_awaited(*snapshots, adopted=way.snapshots == "adopted"),
        failure=a_failure() if way.snapshots == "adopted" else None,
        verify=the_evidence(way),
        verify_failure=a_failure("AwsThrottled", "too fast") if way.evidence == "no answer" else None,
        retrying=Retrying(attempt=1) if way.thaw == "given up" else None,
    )
    succeeded = gather(state).succeeded_so_far
    ending = way.ending if way.ending == "completed" else "not-told"
    return state.model_copy(
        update={"complete": a_complete(session, succeeded=succeeded).model_copy(update={"ending": ending})}
    )


def is_consistent(way: Way) -> bool:
    held = way.vss == "good" and way.scripts != "before failed"
    shown = {"present": True, "absent": False, "damaged": False, "without writers": False}
    built = not way.must_build or (way.evidence, way.build) == ("present", "buildable")
    seen = shown.get(way.evidence, not way.required)
    return held and way.snapshots == "good" and way.thaw == "asked" and seen and built


def in_words(way: Way) -> str:
    seen = f"{way.evidence}, {'required' if way.required else 'optional'}"
    build = f"{way.build}, {'required' if way.must_build else 'optional'}"
    return f"{way.scripts}|{way.vss}|{way.snapshots}|{way.thaw}|{way.ending}|{seen}|{build}"


@pytest.mark.parametrize("way", ALL + LOOKED + BUILDS, ids=in_words)
def test_no_way_is_better_than_all_that_happened_on_it(way: Way) -> None:
    verdict = judge(gather(the_run(way)))
    smooth = is_consistent(way) and way.scripts in ("off", "good") and way.ending == "completed"
    whole = way.snapshots != "one failed"
    assert verdict.consistency.level == ("none" if not whole else "application" if is_consistent(way) else "crash")
    assert verdict.status == ("Failed" if not whole else "Successful" if smooth else "PartiallySuccessful")
    assert verdict.reason
    assert verdict.consistency.reason


@pytest.mark.parametrize("way", ALL + LOOKED + BUILDS, ids=in_words)
def test_complete_gets_1_only_where_everything_before_it_went_well(way: Way) -> None:
    state = the_run(way)
    assert state.complete
    assert state.complete.succeeded == (is_consistent(way) and way.scripts != "after failed")


@pytest.mark.parametrize("way", ALL, ids=in_words)
def test_evidence_is_looked_for_where_nothing_else_is_left_to_show(way: Way) -> None:
    assert gather(the_run(way)).awaits_evidence == is_consistent(way)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            "present",
            "and they were read back out of the snapshots; every volume can be built as of its shadow copy",
        ),
        ("not verifiable", "but it was not shown that the snapshots hold them: D: so"),
        (
            "no answer",
            "but it was not shown that the snapshots hold them: Verify gave no answer (AwsThrottled: too fast)",
        ),
        ("nobody looked", "but it was not shown that the snapshots hold them: Verify did not look"),
    ],
)
def test_a_consistent_recovery_point_says_whether_its_shadow_copies_were_seen(seen: str, words: str) -> None:
    verdict = judge(gather(the_run(Way("off", "good", "good", "asked", "completed", seen))))
    assert verdict.consistency.level == "application"
    assert verdict.consistency.reason.endswith(words)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        ("not buildable", "; not every volume can be built as of its shadow copy: D: it is"),
        ("not known", "; it is not known whether every volume can be built as of its shadow copy: D: it is"),
        ("nobody looked", "and they were read back out of the snapshots"),
    ],
)
def test_a_consistent_recovery_point_says_what_keeps_it_from_being_built(build: str, words: str) -> None:
    verdict = judge(gather(the_run(Way("off", "good", "good", "asked", "completed", build=build))))
    assert verdict.consistency.level == "application"
    assert verdict.consistency.reason.endswith(words)


@pytest.mark.parametrize(
    ("evidence", "build", "words"),
    [
        ("present", "not buildable", "not every volume can be built as of its shadow copy, and the policy"),
        ("present", "not known", "it is not known whether the volumes can be built, and the policy"),
        ("not verifiable", "buildable", "it is not known whether the volumes can be built, and the policy"),
        ("no answer", "buildable", "Verify gave no answer (AwsThrottled: too fast)"),
    ],
)
def test_a_policy_that_requires_a_buildable_recovery_point_says_why_this_one_is_not(
    evidence: str, build: str, words: str
) -> None:
    way = Way("off", "good", "good", "asked", "completed", evidence, False, build, must_build=True)
    verdict = judge(gather(the_run(way)))
    assert (verdict.status, verdict.consistency.level) == ("PartiallySuccessful", "crash")
    assert words in verdict.consistency.reason


@pytest.mark.parametrize("seen", ["absent", "damaged", "without writers"])
def test_a_description_is_wrong_where_the_snapshots_contradict_it(seen: str) -> None:
    verdict = judge(gather(the_run(Way("off", "good", "good", "asked", "completed", seen))))
    assert any("'VSS snapshot'" in note for note in verdict.notes)
    assert "D:" in verdict.consistency.reason


def test_a_description_that_turned_out_wrong_is_named_in_the_record() -> None:
    verdict = judge(gather(the_run(Way("off", "gone at thaw", "good", "asked", "completed"))))
    assert any("'VSS snapshot'" in note for note in verdict.notes)


def test_a_description_that_promised_nothing_is_not() -> None:
    state = the_run(Way("off", "failed", "good", "asked", "completed"))
    assert not has_good_shadow_copies(state)
    assert not judge(gather(state)).notes


def test_a_thaw_for_another_attempt_that_got_no_answer_is_why_there_was_none() -> None:
    way = Way("off", "failed", "good", "given up", "completed")
    state = the_run(way).model_copy(update={"retry_failure": a_failure("AgentUnreachable", "no answer")})
    state = state.model_copy(update={"freeze": a_freeze(the_session(way), shadow=FAILED, go_on=False, retry=True)})
    verdict = judge(gather(state))
    assert (verdict.status, verdict.consistency.level) == ("PartiallySuccessful", "crash")
    assert "another attempt, which was not made (no answer)" in verdict.reason


@pytest.mark.chapter("6.3.4 status")
def test_the_table_of_the_documentation_is_this_one() -> None:
    text = (ROOT / "docs" / "use" / "consistency.md").read_text()
    begin, end = "<!-- verdict: begin -->\n", "<!-- verdict: end -->"
    assert text[text.index(begin) + len(begin) : text.index(end)] == "\n".join(table()) + "\n"


SHOWN = {
    "All goes well": Way("good", "good", "good", "asked", "completed"),
    "The same without scripts": Way("off", "good", "good", "asked", "completed"),
    "The before script fails": Way("before failed", "good", "good", "asked", "completed"),
    "The after script fails": Way("after failed", "good", "good", "asked", "completed"),
    "The complete script fails": Way("complete failed", "good", "good", "asked", "completed"),
    "VSS fails in the last attempt": Way("good", "failed", "good", "asked", "completed"),
    "VSS is wanted and can't work on this server": Way("good", "impossible", "good", "asked", "completed"),
    "A shadow copy is gone after the snapshots": Way("good", "gone at thaw", "good", "asked", "completed"),
    "DiskShadow is killed before the thaw": Way("good", "killed", "good", "asked", "completed"),
    "The writers are not told of the backup": Way("good", "good", "good", "asked", "not told"),
    "The server thaws by itself": Way("good", "good", "good", "by itself", "completed"),
    "The session loses its runner": Way("good", "good", "good", "runner lost", "completed"),
    "The answer of CreateSnapshots is lost": Way("good", "good", "adopted", "asked", "completed"),
    "The snapshots are read, and a shadow copy is not in them": Way(
        "good", "good", "good", "asked", "completed", "absent"
    ),
    "It is in them, and damaged": Way("good", "good", "good", "asked", "completed", "damaged"),
    "The snapshots could not be read; `evidence: optional`": Way(
        "good", "good", "good", "asked", "completed", "not verifiable"
    ),
    "The same; `evidence: required`": Way("good", "good", "good", "asked", "completed", "not verifiable", True),
    "A volume can't be built, or it is not known; `buildable: optional`": Way(
        "good", "good", "good", "asked", "completed", build="not buildable"
    ),
    "The same; `buildable: required`": Way(
        "good", "good", "good", "asked", "completed", build="not buildable", must_build=True
    ),
    "A snapshot fails": Way("good", "good", "one failed", "asked", "completed"),
}


def table() -> list[str]:
    """Return the table of docs/use/consistency.md, made by the verdict itself."""
    lines = [
        "| What happens | Status | Consistency | Description ends with | `complete` gets |",
        "|---|---|---|---|---|",
    ]
    for words, way in SHOWN.items():
        state = the_run(way)
        verdict, given = judge(gather(state)), bool(state.complete and state.complete.succeeded)
        description = "`VSS snapshot`" if has_good_shadow_copies(state) else "nothing"
        lines.append(f"| {words} | {verdict.status} | `{verdict.consistency.level}` | {description} | {int(given)} |")
    return lines
