"""A run's page: the verdict in words, what held the application, what was found, and what a recovery would do."""

import json
from datetime import timedelta

import pytest

from quiesce.pages.run_page import RunView, run_view
from quiesce.points.parts import Consistency
from quiesce.points.record import FreezeWindow, Record
from tests.support.factories.pages import CRASH, a_failed_run, a_good_run, a_partial_run, found_run
from tests.support.factories.run import a_script


def view_of(record: Record) -> RunView:
    return run_view(found_run(record))


def test_a_recovery_from_the_archive_says_since_when_and_how_long_it_takes() -> None:
    archived = a_good_run(archived_at=a_good_run().ended_at + timedelta(days=70))
    [note, *_] = view_of(archived).recovery.notes
    assert note.startswith("It is archived since 2")
    assert note.endswith("a recovery first has EBS restore it, which takes up to 72 h.")
    assert "archived" not in str(view_of(a_good_run()).recovery.notes)


@pytest.mark.parametrize(
    ("record", "word", "headline", "level"),
    [
        (
            a_good_run(),
            "Successful",
            "A good backup: the applications were at rest, and a recovery gives them back as they were then.",
            "Application-consistent",
        ),
        (
            a_good_run(consistency=CRASH),
            "Successful",
            "A good backup of the disks. No application was asked to come to rest.",
            "Crash-consistent, as after a power failure",
        ),
        (
            a_good_run(status="PartiallySuccessful"),
            "Partially successful",
            "The backup is there and application-consistent, but something around it went wrong.",
            "Application-consistent",
        ),
        (
            a_partial_run(),
            "Partially successful",
            "The disks are backed up, but not the way the policy wants it.",
            "Crash-consistent, as after a power failure",
        ),
        (
            a_failed_run(status="Skipped", failure=None),
            "Skipped",
            "Nothing was backed up here, as the policy says: this is a passive node of its cluster.",
            "No recovery point",
        ),
        (a_failed_run(), "Failed", "This run left nothing to recover from.", "No recovery point"),
        (a_partial_run(status="Failed"), "Failed", "This run failed.", "Crash-consistent, as after a power failure"),
    ],
)
def test_the_verdict_is_in_words(record: Record, word: str, headline: str, level: str) -> None:
    view = view_of(record)
    assert (view.mark.word, view.headline, view.level) == (word, headline, level)
    assert bool(view.causes) == (record.status != "Successful")


def test_a_cause_and_what_to_do_about_it_are_sentences() -> None:
    [cause] = view_of(a_failed_run()).causes
    assert cause.what.endswith("detach it from one server.")
    assert cause.do == "Do what the message says, then start a new run."


def test_what_the_policy_wanted_is_no_warning() -> None:
    assert view_of(a_good_run(consistency=CRASH)).level_mark.tone == "calm"
    assert view_of(a_partial_run()).level_mark.tone == "warn"


def test_a_time_stands_in_utc_and_on_the_policys_clock() -> None:
    taken = view_of(a_good_run()).taken
    assert (taken.utc, taken.local, taken.iso) == (
        "Fri 2026-03-20 01:40 UTC",
        "02:40 Europe/Berlin",
        "2026-03-20T01:40:00Z",
    )
    assert view_of(a_failed_run()).taken_word == "Started"


def test_a_run_that_held_nothing_says_why() -> None:
    nobody = a_good_run(consistency=CRASH, session=None, shadow=None, evidence=None)
    unknown = FreezeWindow(total_ms=None, known_ms=None, snapshots_ms=None, thaw_ms=None)
    words = {
        view_of(nobody).not_held: "Nothing was held: the policy asks no application.",
        view_of(a_failed_run()).not_held: "It is not known whether anything was held",
        view_of(a_good_run(freeze_window=None)).not_held: "was not measured: the freeze did not come to its end",
        view_of(a_good_run(freeze_window=unknown)).not_held: "is not known: the server's clock was set back",
        view_of(a_good_run()).not_held: "",
    }
    assert all(expected in said for said, expected in words.items())
    assert len(words) == 5


def test_each_script_says_how_it_ended_or_that_it_is_not_known() -> None:
    run = a_good_run()
    assert run.session
    failed = a_script("1", succeeded=False, ended_ms=0)
    session = run.session.model_copy(update={"after": failed, "complete": None})
    before, after, complete = view_of(a_good_run(session=session)).scripts
    assert (before.stage, before.words, before.took, before.mark.sign) == ("before", "Ended well.", "2.2 s", "good")
    assert (after.mark.sign, after.argument, after.took) == ("bad", "1", "0 ms")
    assert (complete.mark.word, complete.took) == ("not known", "")
    assert view_of(a_failed_run()).scripts == []


def test_what_vss_said_has_each_code_once() -> None:
    assert view_of(a_partial_run()).vss.count("0x800423F2") == 1
    run = a_partial_run()
    assert run.shadow
    shadow = run.shadow.model_copy(update={"reason": "a writer failed", "hresults": ["0x800423F2", "0x80042306"]})
    assert view_of(a_partial_run(shadow=shadow)).vss == "A writer failed (0x800423F2, 0x80042306)."
    assert view_of(a_failed_run()).vss == "VSS was not asked, or did not answer in the last attempt."
    assert view_of(a_failed_run()).vss_mark is None


def test_the_evidence_names_each_shadow_copy_and_one_that_nobody_looked_for() -> None:
    evidence = view_of(a_good_run()).evidence
    assert evidence
    assert [(copy.path, copy.mark.word, copy.before_snapshot) for copy in evidence.copies] == [
        (path, "present", "2.4 s before the snapshot") for path in ("C:", "D:", "E:")
    ]
    unlooked = view_of(a_good_run(evidence=None)).evidence
    assert unlooked
    assert unlooked.words == "Nobody has looked for them in the snapshots."
    assert {copy.mark.word for copy in unlooked.copies} == {"not looked for"}
    assert view_of(a_failed_run()).evidence is None


def test_a_copy_that_is_absent_or_that_cannot_be_built_says_why() -> None:
    run = a_good_run()
    assert run.evidence
    first, second, third = run.evidence.copies
    build = first.build.model_copy(update={"verdict": "not buildable", "reason": "too large"}) if first.build else None
    copies = [
        first.model_copy(update={"build": build}),
        second.model_copy(update={"verdict": "absent", "reason": "no volume lists it"}),
        third,
    ]
    evidence = view_of(a_good_run(evidence=run.evidence.model_copy(update={"copies": copies}))).evidence
    assert evidence
    assert [(copy.mark.word, copy.words, copy.build) for copy in evidence.copies] == [
        ("present", "", "Too large."),
        ("absent", "No volume lists it.", ""),
        ("present", "", ""),
    ]


def test_a_recovery_says_of_each_drive_as_of_when_it_is() -> None:
    good, raw = view_of(a_good_run()).recovery, view_of(a_partial_run()).recovery
    assert [words for _, words in good.volumes] == ["as of its shadow copy of Fri 2026-03-20 01:39 UTC"] * 3
    assert "C:, D: and E: are as of their shadow copies: they are built in AWS before anything is launched." in (
        good.summary
    )
    assert good.notes[0] == ("Building takes at most so much: 4,120 blocks of 512 KiB are read and 870 written, $0.02.")
    assert [words for _, words in raw.volumes] == ["as after a power failure at Fri 2026-03-20 01:40 UTC"] * 3
    off = view_of(a_good_run(revert="off")).recovery
    assert [words for _, words in off.volumes] == ["as after a power failure at Fri 2026-03-20 01:40 UTC"] * 3


def test_what_nobody_could_work_out_about_building_is_said_in_its_words() -> None:
    run = a_good_run()
    assert run.evidence
    assert run.evidence.build
    build = run.evidence.build.model_copy(update={"verdict": "not verifiable", "reason": "too large", "dollars": None})
    evidence = run.evidence.model_copy(update={"build": build})
    assert view_of(a_good_run(evidence=evidence)).recovery.notes[0] == "Not verifiable: too large."


def test_with_scripts_alone_the_disks_are_of_the_time_in_which_the_application_was_held() -> None:
    level = Consistency(level="application", reason="the scripts held it")
    words = view_of(a_good_run(consistency=level, shadow=None, evidence=None)).recovery
    assert {each for _, each in words.volumes} == {"as of Fri 2026-03-20 01:40 UTC, while the application was held"}


def test_the_input_to_paste_is_a_dry_run_and_there_is_none_where_nothing_can_be_recovered() -> None:
    view = view_of(a_good_run())
    assert json.loads(view.to_paste) == {
        "instance_id": "i-0123456789abcdef0",
        "recovery_point": "orders-i-0123456789abcdef0-20260320T013000Z",
        "mode": "dry-run",
    }
    failed = view_of(a_failed_run())
    assert (failed.to_paste, failed.command, failed.recovery.possible) == ("", "", False)
    assert failed.recovery.summary.startswith("A server can't be recovered from this run: ")


def test_a_point_that_retention_removed_says_so_first_and_gives_no_recovery() -> None:
    run = a_good_run()
    view = view_of(a_good_run(removed_at=run.ended_at + timedelta(days=30), removed_because="older than keep says"))
    assert view.headline == "This recovery point was removed. What follows is what its run had left."
    assert view.removed == "Removed on 2026-04-19: Older than keep says."
    assert view.to_paste == ""
