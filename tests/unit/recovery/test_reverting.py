"""What a recovery builds, when it stops for that, and what it says of each volume's instant."""

import json
from datetime import timedelta
from typing import Any

import pytest

from quiesce.points.parts import Consistency
from quiesce.points.point import PointBuilt, PointCopy, PointShadow, RecoveryPoint
from quiesce.recovery.account import recovered
from quiesce.recovery.describing import describe
from quiesce.recovery.flaws import FoundSnapshot
from quiesce.recovery.instants import fallback, instants, refusal, standing
from quiesce.recovery.plan import RecoveryPlan, decide, with_children
from quiesce.recovery.reverting import FromBackup, from_backup
from quiesce.report.mail import mail_of_recovery
from quiesce.revert.built import BuiltChild, LookedAt
from quiesce.revert.look import Looked
from quiesce.revert.plan import Part, PlannedChild, PlannedView
from quiesce.revert.price import estimate
from tests.support.factories.recovery import IMAGE, a_point, a_recovery_plan, a_request, an_ending
from tests.support.factories.run import NOW, a_volume, snapshot_id, volume_id

AT = NOW - timedelta(seconds=4)
RAW = f"as after a power failure of {NOW:%Y-%m-%d %H:%M:%S} UTC"
COPIED = f"as of its shadow copy of {AT:%Y-%m-%d %H:%M:%S} UTC"
DEVICES = ["/dev/sda1", "xvdf"]


def a_consistent_point(**changes: Any) -> RecoveryPoint:
    copies = [PointCopy(path=p, shadow_id=f"{{{n}}}", volume_id=volume_id(n)) for n, p in enumerate(("C:", "D:"))]
    volumes = [
        a_volume(n, device=device, drives=[drive])
        for n, (device, drive) in enumerate(zip(DEVICES, ("C:", "D:"), strict=True))
    ]
    point = a_point(of_volumes=volumes)
    update = {
        "shadow": PointShadow(good=True, set_id="{9}", copies=copies),
        "consistency": Consistency(level="application", reason="VSS"),
    }
    return point.model_copy(update={**update, **changes})


def a_look(verdicts: tuple[Any, ...] = ("buildable", "buildable")) -> Looked:
    copies = [
        LookedAt(
            shadow_id=f"{{{n}}}",
            path=path,
            volume_id=volume_id(n),
            snapshot_id=snapshot_id(n),
            as_of=AT,
            verdict=verdict,
            reason="so it is",
        )
        for n, (path, verdict) in enumerate(zip(("C:", "D:"), verdicts, strict=True))
    ]
    children = [
        PlannedChild(
            snapshot_id=copy.snapshot_id,
            volume_id=copy.volume_id,
            device=device,
            size_gib=8,
            disks=[copy.snapshot_id],
            views=[PlannedView(start=0, length=8 << 30, shadow_id=copy.shadow_id, path=copy.path, as_of=AT)],
            parts=[Part(first=0, after=16384, blocks=7)],
            blocks_read=30,
            blocks_written=7,
        )
        for copy, device in zip(copies, DEVICES, strict=True)
        if copy.verdict == "buildable"
    ]
    bound = estimate(30 * len(children), 7 * len(children), side_by_side=1)
    return Looked(copies=copies, children=children, estimate=bound)


def a_plan_with(verdicts: tuple[Any, ...] = ("buildable", "buildable"), **fields: Any) -> RecoveryPlan:
    plan = a_recovery_plan(a_consistent_point(), **fields)
    return plan.model_copy(update={"looked": a_look(verdicts)})


# What is built.


@pytest.mark.parametrize(
    ("policy", "wanted", "builds"),
    [
        ("at-recovery", None, True),
        ("at-backup", None, True),
        ("off", None, False),
        ("off", "yes", True),
        ("off", "where-possible", True),
        ("at-recovery", "off", False),
    ],
)
def test_the_input_decides_and_without_one_the_policy_of_the_backup(policy: str, wanted: Any, builds: bool) -> None:
    fields = {} if wanted is None else {"revert": wanted}
    plan = a_recovery_plan(a_consistent_point(revert=policy), **fields)
    assert (plan.build is not None) == builds
    assert (plan.caution == "") == builds


def test_everything_that_was_copied_is_to_be_built_of_all_snapshots_in_the_recoverys_name() -> None:
    build = a_recovery_plan(a_consistent_point(), on_failure="clean-up", overrides={"tags": {"team": "shop"}}).build
    assert build
    assert (build.built_for, build.set_id, build.on_failure) == ("drill-7", "{9}", "clean-up")
    assert [(c.shadow_id, c.path, c.volume_id) for c in build.copies] == [
        ("{0}", "C:", volume_id(0)),
        ("{1}", "D:", volume_id(1)),
    ]
    assert [(s.snapshot_id, s.volume_id, s.device, s.size_gib) for s in build.snapshots] == [
        (snapshot_id(n), volume_id(n), device, 8) for n, device in enumerate(DEVICES)
    ]
    assert build.extra_tags == {"team": "shop", "quiesce:recovery": "drill-7", "quiesce:recovering": "drill-7"}
    assert not build.where_possible


def test_a_recovery_point_without_consistent_shadow_copies_has_nothing_to_build() -> None:
    for changes in (
        {"shadow": None},
        {"consistency": Consistency(level="crash", reason="the server thawed by itself")},
        {"shadow": PointShadow(good=False, copies=[])},
    ):
        plan = a_recovery_plan(a_consistent_point(**changes), revert="yes")
        assert (plan.build, plan.caution, fallback(plan), refusal(plan)) == (None, "", "", None)


# Where it stops.


@pytest.mark.parametrize("verdict", ["not buildable", "not known"])
@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)])
def test_it_stops_where_a_volume_can_not_be_built_and_shows_the_instants_side_by_side(
    verdict: str, which: tuple[int, ...]
) -> None:
    verdicts = tuple(verdict if n in which else "buildable" for n in range(2))
    stopped = refusal(a_plan_with(verdicts))
    assert stopped
    assert stopped.field == "revert"
    for n, name in enumerate(("C: (/dev/sda1)", "D: (xvdf)")):
        assert f"{name}: {RAW if n in which else COPIED}" in stopped.problem
    assert "so it is" in stopped.problem
    assert "'where-possible'" in stopped.remedy
    assert "'off'" in stopped.remedy


def test_it_goes_on_where_all_can_be_built_or_the_person_accepted_that_not_all_can() -> None:
    assert refusal(a_plan_with()) is None
    assert refusal(a_plan_with(("buildable", "not buildable"), revert="where-possible")) is None
    assert refusal(a_recovery_plan(a_consistent_point(), revert="off")) is None


# What is said.


@pytest.mark.chapter("6.3.5 instants")
def test_each_volume_says_as_of_which_instant_it_is() -> None:
    assert instants(a_plan_with()) == [f"C: (/dev/sda1): {COPIED}", f"D: (xvdf): {COPIED}"]
    mixed = a_plan_with(("buildable", "not buildable"), revert="where-possible")
    assert instants(mixed)[1] == f"D: (xvdf): {RAW}, because it can't be built as of its shadow copy: so it is"
    unknown = a_plan_with(("not known", "buildable"), revert="where-possible")
    assert instants(unknown)[0] == (
        f"C: (/dev/sda1): {RAW}, because it is not known whether it can be built as of its shadow copy: so it is"
    )


def test_a_volume_without_shadow_copy_says_so() -> None:
    plan = a_plan_with()
    assert plan.looked
    only = plan.looked.model_copy(update={"copies": plan.looked.copies[:1], "children": plan.looked.children[:1]})
    assert instants(plan.model_copy(update={"looked": only}))[1] == f"D: (xvdf): {RAW}; no shadow copy was made of it"


def test_a_shadow_copy_of_which_nobody_knows_the_volume_is_told_all_the_same() -> None:
    plan = a_plan_with(("buildable", "not known"))
    assert plan.looked
    lost = plan.looked.copies[1].model_copy(update={"volume_id": "", "snapshot_id": ""})
    looked = plan.looked.model_copy(update={"copies": [plan.looked.copies[0], lost]})
    assert instants(plan.model_copy(update={"looked": looked}))[-1].startswith(f"D:: {RAW}, because it is not known")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shadow": None}, f"as of {NOW:%Y-%m-%d %H:%M:%S} UTC, while the application was held"),
        ({"consistency": Consistency(level="crash", reason="so")}, RAW),
        ({"revert": "off"}, RAW),
    ],
)
def test_where_nothing_is_built_each_volume_is_as_of_its_snapshot(changes: dict[str, Any], words: str) -> None:
    plan = a_recovery_plan(a_consistent_point(**changes))
    assert instants(plan) == [f"C: (/dev/sda1): {words}", f"D: (xvdf): {words}"]


def test_the_consistency_is_that_of_what_is_made_and_not_of_the_record() -> None:
    at = f"{AT:%Y-%m-%d %H:%M:%S} UTC"
    assert standing(a_plan_with()) == f"application-consistent, as of the shadow copies of {at} (VSS)"
    mixed = standing(a_plan_with(("buildable", "not known"), revert="where-possible"))
    assert mixed.startswith(f"volumes of different instants: some as of {at}, others as of {NOW:%Y-%m-%d %H:%M:%S} UTC")
    for plan in (
        a_plan_with(("not known", "not buildable"), revert="where-possible"),
        a_recovery_plan(a_consistent_point(), revert="off"),
    ):
        assert standing(plan).startswith("crash-consistent, as after a power failure, as of ")


def test_a_dry_run_tells_the_work_and_its_price_before_everything_else() -> None:
    lines = describe(a_plan_with())
    assert (
        lines[0] == f"1. Build a snapshot from {snapshot_id(0)}, of which at most 7 blocks of 512 KiB differ from it."
    )
    assert lines[2].startswith("3. Altogether, at most 60 blocks of 512 KiB are read and 14 written, for about $")
    assert lines[3] == f"4. C: (/dev/sda1): {COPIED}."
    assert any(f"from what is built from {snapshot_id(1)}." in line for line in lines)


def test_a_dry_run_that_can_build_nothing_says_so() -> None:
    lines = describe(a_plan_with(("not buildable", "not buildable"), revert="where-possible"))
    assert lines[0] == "1. Build nothing: no volume can be built as of its shadow copy."
    assert not any("what is built from" in line for line in lines)


def test_if_the_server_does_not_start_the_input_to_type_is_whole() -> None:
    plan = a_plan_with()
    words = fallback(plan)
    typed = json.loads(words[words.index("{") :])
    assert typed == {"instance_id": plan.from_instance_id, "recovery_point": "run-1", "revert": "off"}
    account = recovered(an_ending(), plan, "i-1", [])
    assert account.reason == f"i-1 runs with the volumes of {plan.from_instance_id} built as of their shadow copies"
    text = mail_of_recovery(account).text
    assert f"Volume:      D: (xvdf): {COPIED}" in text
    assert f"If not:      {words}" in text


def test_what_was_not_built_has_no_other_snapshots_to_fall_back_to() -> None:
    assert fallback(a_plan_with(("not known", "not known"), revert="where-possible")) == ""


# What volumes are made of.


def test_volumes_are_made_of_the_children_and_of_nothing_where_one_is_missing() -> None:
    plan = a_plan_with(("buildable", "buildable"))
    built = [
        BuiltChild(
            child_id="snap-child",
            snapshot_id=snapshot_id(0),
            volume_id=volume_id(0),
            device="/dev/sda1",
            size_gib=8,
            views=[],
            blocks_written=7,
        )
    ]
    assert [v.snapshot_id for v in with_children(plan, built).volumes] == ["snap-child", ""]
    mixed = a_plan_with(("buildable", "not known"), revert="where-possible")
    assert [v.snapshot_id for v in with_children(mixed, built).volumes] == ["snap-child", snapshot_id(1)]


def test_records_of_older_versions_have_what_is_needed() -> None:
    """Those had the set's id and each copy's volume from the first record with VSS on."""
    record = a_consistent_point().model_dump(mode="json", exclude={"revert"})
    assert a_recovery_plan(RecoveryPoint.model_validate(record)).build


# What the backup has built.


AS_BUILT = [
    PointBuilt(
        snapshot_id=f"snap-built-{n}",
        built_from=snapshot_id(n),
        volume_id=volume_id(n),
        device=device,
        paths=[path],
        as_of=AT,
    )
    for n, (device, path) in enumerate(zip(DEVICES, ("C:", "D:"), strict=True))
]
THERE = {each.snapshot_id: FoundSnapshot("completed", "standard") for each in AS_BUILT}


def a_plan_from_backup(found: dict[str, FoundSnapshot] = THERE, **fields: Any) -> tuple[RecoveryPlan, FromBackup]:
    point = a_consistent_point(revert="at-backup", built=AS_BUILT)
    request = a_request(**fields)
    backup = from_backup(request, point, found)
    return decide("drill-7", request, point, IMAGE, backup), backup


@pytest.mark.parametrize("wanted", [None, "yes", "where-possible"])
def test_what_the_backup_built_is_used_and_nothing_is_built_again(wanted: Any) -> None:
    plan, backup = a_plan_from_backup(revert=wanted)
    assert backup.note == ""
    assert (plan.build, plan.caution, refusal(plan)) == (None, "", None)
    assert [volume.snapshot_id for volume in plan.volumes] == ["snap-built-0", "snap-built-1"]
    assert instants(plan) == [
        f"{path} ({device}): {COPIED}, built by the backup (snap-built-{n})"
        for n, (path, device) in enumerate(zip(("C:", "D:"), DEVICES, strict=True))
    ]
    assert standing(plan) == f"application-consistent, as of the shadow copies of {AT:%Y-%m-%d %H:%M:%S} UTC (VSS)"
    assert json.loads(fallback(plan)[fallback(plan).index("{") :])["revert"] == "off"
    assert describe(plan)[0].startswith("1. Build nothing: the backup has built the snapshots")
    assert recovered(an_ending(), plan, "i-1", []).reason.endswith("built as of their shadow copies")


def test_with_revert_off_what_the_backup_built_is_left_alone() -> None:
    plan, backup = a_plan_from_backup(revert="off")
    assert backup == FromBackup()
    assert [volume.snapshot_id for volume in plan.volumes] == [snapshot_id(0), snapshot_id(1)]
    assert all(RAW in line for line in instants(plan))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "snap-built-1 of xvdf was deleted"),
        (FoundSnapshot("pending", "standard"), "snap-built-1 of xvdf is pending"),
        (FoundSnapshot("error", "standard"), "snap-built-1 of xvdf is in error"),
        (FoundSnapshot("completed", "standard", removing=True), "snap-built-1 of xvdf is marked as being removed"),
        (FoundSnapshot("recoverable", "standard"), "snap-built-1 of xvdf is in the Recycle Bin"),
    ],
)
def test_where_one_of_them_can_not_be_used_all_are_built_again_and_it_is_said(
    found: FoundSnapshot | None, words: str
) -> None:
    there = {key: each for key, each in (THERE | {"snap-built-1": found}).items() if each}
    plan, backup = a_plan_from_backup(there)
    assert words in backup.note
    assert "they are built again" in backup.note
    assert (plan.built, plan.build is not None) == ([], True)
    assert [volume.snapshot_id for volume in plan.volumes] == [snapshot_id(0), snapshot_id(1)]


def test_what_the_backup_built_must_have_every_volume_that_was_copied() -> None:
    point = a_consistent_point(revert="at-backup", built=AS_BUILT[:1])
    backup = from_backup(a_request(), point, THERE)
    assert not backup.built
    assert "none of them has D: as of its shadow copy" in backup.note


def test_a_volume_without_shadow_copy_beside_one_that_the_backup_built_says_so() -> None:
    built = [AS_BUILT[0], AS_BUILT[1].model_copy(update={"paths": [], "as_of": None})]
    plan = a_recovery_plan(a_consistent_point()).model_copy(update={"built": built, "build": None})
    volumes = [v.model_copy(update={"snapshot_id": f"snap-built-{n}"}) for n, v in enumerate(plan.volumes)]
    plan = plan.model_copy(update={"volumes": volumes})
    assert instants(plan)[1] == f"D: (xvdf): {RAW}; no shadow copy was made of it"
    nameless = [volume.model_copy(update={"drives": []}) for volume in volumes]
    assert instants(plan.model_copy(update={"volumes": nameless}))[1] == f"xvdf: {RAW}; no shadow copy was made of it"
