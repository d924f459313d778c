"""The initial AMI: when Backup makes one, and its request to EC2."""

from datetime import timedelta
from typing import Any

import pytest

from quiesce import tags
from quiesce.backup.initial_image import decide, image_notes, is_wanted, notes_of
from quiesce.backup.requests import image_request
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import ImageKept
from quiesce.policy.parts import ImageRenewal
from tests.support.factories.recovery import an_image
from tests.support.factories.run import (
    INSTANCE,
    NOW,
    a_failure,
    a_plan,
    a_snapshot,
    a_state,
    an_awaited,
    an_exclusion,
    some_settings,
)

MONTHLY = ImageRenewal(every_days=30)
RUN = RunIdentity("files-nightly-i-0123456789abcdef0-20260314T013000Z", "files-nightly", INSTANCE)


@pytest.mark.parametrize("setting", ["once", MONTHLY])
@pytest.mark.parametrize("state", [None, "failed", "invalid", "error", "deregistered", "disabled"])
def test_a_server_without_an_image_gets_one(setting: Any, state: str | None) -> None:
    images = [an_image("ami-1", state=state)] if state else []
    upkeep = decide(setting, images, {}, NOW)
    assert (upkeep.make, upkeep.latest) == (True, "")


@pytest.mark.parametrize("state", ["available", "pending"])
@pytest.mark.parametrize(
    ("setting", "days", "made"), [("once", 3650, False), (MONTHLY, 29, False), (MONTHLY, 30, True), (MONTHLY, 31, True)]
)
def test_another_one_is_made_as_often_as_the_policy_says(setting: Any, days: int, made: bool, state: str) -> None:
    upkeep = decide(setting, [an_image("ami-1", days=days, state=state), an_image("ami-0", days=100)], {}, NOW)
    assert (upkeep.make, upkeep.latest) == (made, "ami-1" if days < 100 else "ami-0")


def test_an_image_that_a_person_made_and_tagged_is_used() -> None:
    images = [an_image("ami-1", days=60, by_backup=False), an_image("ami-2", state="failed", by_backup=False)]
    assert decide("once", images, {}, NOW).latest == "ami-1"


def test_one_that_came_to_nothing_is_told_and_made_again() -> None:
    upkeep = decide("once", [an_image("ami-1", state="failed")], {}, NOW)
    assert (upkeep.failed, upkeep.make) == (("ami-1",), True)


def test_the_image_holds_the_root_alone_and_nothing_is_rebooted() -> None:
    request = image_request(RUN, a_plan(), "/dev/sda1", ["/dev/sda1", "xvdf", "xvdg"])
    assert request["NoReboot"] is True
    assert request["BlockDeviceMappings"] == [{"DeviceName": d, "NoDevice": ""} for d in ("xvdf", "xvdg")]
    assert 3 <= len(request["Name"]) <= 128


def test_the_snapshot_of_an_image_is_never_taken_for_one_of_the_run() -> None:
    plan = a_plan().model_copy(update={"tags": {tags.STACK: "quiesce", tags.RUN: "run-1", "team": "shop"}})
    image, snapshot = image_request(RUN, plan, "/dev/sda1", [])["TagSpecifications"]
    assert {t["Key"] for t in image["Tags"]} == {tags.STACK, tags.RUN, "team"}
    assert {t["Key"] for t in snapshot["Tags"]} == {tags.STACK, "team"}


def test_the_longest_name_of_a_run_fits_into_the_name_of_an_image() -> None:
    request = image_request(RunIdentity("r" * 80, "p", INSTANCE), a_plan(), "/dev/sda1", [])
    assert len(request["Name"]) <= 128


def a_good_state(**parts: Any) -> Any:
    return a_state(**{"plan": a_plan(), "await_snapshots": an_awaited(a_snapshot(0), a_snapshot(1)), **parts})


def test_an_image_is_wanted_where_a_recovery_could_use_it() -> None:
    assert is_wanted(a_good_state())
    assert not is_wanted(a_good_state(plan=a_plan(settings=some_settings(initial_image="off"))))
    assert not is_wanted(a_good_state(await_snapshots=an_awaited(a_snapshot(0), a_snapshot(1, "error"))))
    assert not is_wanted(a_good_state(await_snapshots=None, failure=a_failure()))
    without_root = [v for v in a_plan().volumes if not v.root]
    data_only = a_plan(volumes=0).model_copy(update={"volumes": without_root, "excluded": [an_exclusion(0)]})
    assert not is_wanted(a_good_state(plan=data_only, await_snapshots=an_awaited(a_snapshot(1))))


def test_a_failure_is_a_note_with_its_true_name_and_words() -> None:
    [note] = image_notes(a_good_state(make_image_failure=a_failure("AccessDenied", "ec2:CreateImage: no.")))
    assert note == (
        "the initial AMI could not be maintained: AccessDenied: ec2:CreateImage: no; the next backup tries again"
    )
    kept = ImageKept(image_id="ami-1", notes=["a note"], calls={})
    assert image_notes(a_good_state(make_image=kept)) == ["a note"]
    assert image_notes(a_good_state()) == []


def test_an_available_image_with_more_than_its_root_is_noted() -> None:
    image = an_image("ami-1", devices=("/dev/sda1", "xvdf", "xvdg"))
    [note] = notes_of(decide("once", [image], {}, NOW))
    assert note.startswith("the initial AMI ami-1 holds xvdf, xvdg besides the root, although EC2 was asked to leave")


@pytest.mark.parametrize(
    "changes",
    [
        {"devices": ("/dev/sda1",)},
        {"devices": ("/dev/sda1", "xvdf"), "by_backup": False},
        {"devices": ("/dev/sda1", "xvdf"), "state": "pending"},
    ],
    ids=["the root alone", "a person's", "pending"],
)
def test_any_other_image_is_not(changes: Any) -> None:
    assert notes_of(decide("once", [an_image("ami-1", **changes)], {}, NOW)) == []


MISFIT = ("boots by legacy-bios, not uefi",)


@pytest.mark.parametrize(("days", "made"), [(0, False), (1, True), (400, True)])
def test_where_none_fits_the_server_any_more_another_is_made_at_most_once_a_day(days: int, made: bool) -> None:
    upkeep = decide("once", [an_image("ami-1", days=days)], {"ami-1": MISFIT}, NOW)
    assert (upkeep.make, upkeep.latest, upkeep.misfits) == (made, "ami-1", MISFIT)
    outcome = "another one was made" if made else "another one is made a day after the last"
    assert notes_of(upkeep) == [
        f"the initial AMI ami-1 no longer fits the server: it boots by legacy-bios, not uefi; {outcome}"
    ]


def test_a_renewed_image_that_does_not_fit_is_not_made_again_with_every_backup() -> None:
    images = [an_image("ami-1", days=60), an_image("ami-2", boot_mode="uefi")]
    assert not decide(MONTHLY, images, {"ami-2": MISFIT}, NOW).make
    assert decide(MONTHLY, images, {"ami-2": MISFIT}, NOW + timedelta(days=1)).make


def test_an_older_image_that_fits_is_the_one_that_counts() -> None:
    images = [an_image("ami-1", days=60), an_image("ami-2", days=2, boot_mode="uefi")]
    upkeep = decide("once", images, {"ami-2": MISFIT}, NOW)
    assert (upkeep.make, upkeep.latest, upkeep.misfits) == (False, "ami-1", ())
