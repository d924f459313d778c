"""What a person sees: it fits, nothing of it is cut, and it never commands the terminal."""

import io
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from quiesce_cli.answers.costs import costs
from quiesce_cli.answers.explaining import explain
from quiesce_cli.answers.points import brief, shapes
from quiesce_cli.answers.shapes import (
    AlarmStatus,
    Check,
    Health,
    Held,
    LeftPoints,
    NextRun,
    NextRuns,
    Points,
    Policies,
    PolicyShape,
    PolicyTarget,
    Pruned,
    Ran,
    Recovered,
    RunningRun,
    ServerStatus,
    ServerWriters,
    Status,
    UnprotectedServer,
    UnprotectedServers,
    Writers,
    WriterShape,
)
from quiesce_cli.answers.writers import writers_by_server
from quiesce_cli.screen import PIPED_WIDTH, Screen
from quiesce_cli.views import costs as costs_view
from quiesce_cli.views import explained as explained_view
from quiesce_cli.views import health as health_view
from quiesce_cli.views import next_runs as next_view
from quiesce_cli.views import points as points_view
from quiesce_cli.views import policies as policies_view
from quiesce_cli.views import ran as ran_view
from quiesce_cli.views import record as record_view
from quiesce_cli.views import recovered as recovered_view
from quiesce_cli.views import retention as retention_view
from quiesce_cli.views import status as status_view
from quiesce_cli.views import unprotected as unprotected_view
from quiesce_cli.views import writers as writers_view
from quiesce_cli.views.words import ago, seconds
from rich.console import Console, RenderableType

from quiesce.points.parts import FailedAttempt, ListedWriter, ShadowOutcome
from quiesce.points.record import FailureRecord, FreezeWindow, Logs, Record, SnapshotRecord
from tests.support.factories.run import INSTANCE, NOW, a_record, a_script, a_session, a_volume, snapshot_id, volume_id

NARROW = 60
LONG_ID = f"{'p' * 40}-{INSTANCE}-20260314T013000Z"
WORDS = "the shadow storage of D: is on Z:, which is not in the backup: it would be lost; " * 3
ESCAPE = re.compile(r"\x1b")


def local(moment: datetime) -> datetime:
    return moment.astimezone(UTC) + timedelta(hours=1)


def a_snapshot_record(number: int = 0) -> SnapshotRecord:
    volume = a_volume(number, drives=["C:"])
    return SnapshotRecord(
        snapshot_id=snapshot_id(number),
        volume_id=volume_id(number),
        device=volume.device,
        root=volume.root,
        size_gib=8,
        state="completed",
        started_at=NOW,
        completed_at=NOW,
        volume=volume,
    )


BAD = a_record(
    run_id=LONG_ID,
    status="PartiallySuccessful",
    reason=WORDS,
    policy="p" * 40,
    instance_name="N" * 60,
    snapshots=[a_snapshot_record(0), a_snapshot_record(1)],
    attempts=[FailedAttempt(attempt=1, reason=WORDS, ended_at=NOW)],
    shadow=ShadowOutcome(good=False, kind="failed", reason=WORDS, hresults=["0x800423F2"]),
    session=a_session("ended", before=a_script(succeeded=False), auto_thawed=True),
    freeze_window=FreezeWindow(total_ms=4210, known_ms=1, snapshots_ms=2, thaw_ms=3),
    logs=Logs(place=f"s3://bucket/logs/{INSTANCE}/{LONG_ID}/session-1/", files=[], problem=""),
    notes=[WORDS],
    failure=FailureRecord(error="AgentUnreachable", cause=WORDS),
    calls={"ebs:GetSnapshotBlock": 21, "ec2:DescribeInstances": 1},
    record=f"s3://bucket/records/{INSTANCE}/{LONG_ID}.json",
)
STATUS = Status(
    stack="quiesce",
    region="eu-central-1",
    checked_at=NOW + timedelta(days=3),
    good=False,
    servers=[
        ServerStatus(
            instance_id=INSTANCE,
            name="N" * 40,
            policy="p" * 40,
            good=False,
            newest=brief(BAD),
            newest_good=None,
            problem=WORDS,
        )
    ],
    alarms=[AlarmStatus(name="quiesce-AutoThawedAlarm-ABCDEFGHIJKL", state="ALARM", about=WORDS, since=NOW)],
    running=[RunningRun(kind="backup", name=LONG_ID, execution="arn", started_at=NOW)],
    problems=[WORDS],
)
POINTS = Points(points=shapes([BAD], {}), more=9981, left_out=2, problems=[WORDS])
POLICY = PolicyShape(
    name="p" * 40,
    place="s3://bucket/policies/p.yaml",
    owner="admin",
    good=True,
    problem="",
    targets=[PolicyTarget(servers=INSTANCE, asks=True, vss=True, scripts=True, consistency="application")] * 9,
)
BROKEN = PolicyShape(name="b", place="b.yaml", owner="", good=False, problem=WORDS, targets=[])
RECOVERED = Recovered(
    recovery_id="recover-1",
    status="Planned",
    possible=False,
    recovery_point=LONG_ID,
    consistency=WORDS,
    steps=[f"1. {WORDS}"],
    problems=[WORDS],
    notes=[WORDS],
    instance_id=INSTANCE,
    reason=WORDS,
    execution="arn",
    to_do=[WORDS],
)
RAN = Ran(
    run_id=LONG_ID,
    execution="arn",
    status="Failed",
    reason=WORDS,
    consistency="none",
    states=[],
    record="s3://" + "r" * 80,
)
HEALTH = Health(good=False, checks=[Check(name="mails", good=False, words=WORDS, remedy=WORDS)])
UNPROTECTED = UnprotectedServers(
    looked_at=NOW,
    good=False,
    windows_servers=10_000,
    covered=9_999,
    servers=[
        UnprotectedServer(instance_id=INSTANCE, name="N" * 60, state="stopped", reason=WORDS, newest_at=NOW),
        UnprotectedServer(instance_id=INSTANCE, name="", state="running", reason=WORDS, newest_at=None),
    ],
    left=[
        LeftPoints(instance_id=INSTANCE, name="", policy="p" * 40, kind="gone", reason=WORDS, points=9, newest_at=NOW)
    ],
    problems=[WORDS],
)

LONG_GUID = "{aaaaaaaa-bbbb-bbbb-bbbb-bbbbbbbbbbbb}"
WRITERS = Writers(
    servers=[
        ServerWriters(
            instance_id=INSTANCE,
            name="N" * 60,
            run_id=LONG_ID,
            at=NOW,
            writers=[
                WriterShape(name=f"{part} writer", writer_id=LONG_GUID, part=part, state=state, error=e)
                for part, state, e in (
                    ("whole", "STABLE", ""),
                    ("some", "WAITING_FOR_BACKUP_COMPLETE", ""),
                    ("none", "FAILED", "VSS_E_WRITERERROR_TIMEOUT"),
                    ("excluded", "STABLE", ""),
                )
            ],
        )
    ]
    * 2,
    more=3,
    problems=[WORDS],
)

PRUNED = Pruned(servers=2, would_go=1, plans=[f"{WORDS}\n  {LONG_ID}"], problems=[WORDS], execution="arn")
HELD = Held(run_id=LONG_ID, instance_id=INSTANCE, held=True, why=WORDS, snapshots=[snapshot_id(0)])
NEXT = NextRuns(
    runs=[
        NextRun(
            policy="p" * 40,
            at=NOW,
            zone="Europe/Berlin",
            clock="Sat 2026-03-14 02:30",
            schedule="30 2 * * ? * in Europe/Berlin",
            moved=moved,
            left_out=left_out,
        )
        for moved, left_out in ((False, ""), (True, ""), (False, "'except' has 2026-03-14"))
    ],
    paused=True,
    remarks=[WORDS],
)

VIEWS: dict[str, Any] = {
    "status": lambda: status_view.lines(STATUS, local),
    "points": lambda: points_view.lines(POINTS, local),
    "choices": lambda: points_view.choices(POINTS.points, local),
    "show": lambda: record_view.lines(BAD, local),
    "explain": lambda: explained_view.lines(explain(BAD)),
    "policies": lambda: policies_view.lines(Policies(good=False, policies=[POLICY, BROKEN], put=["s3://b/p.yaml"])),
    "plan": lambda: recovered_view.lines(RECOVERED),
    "recovered": lambda: recovered_view.lines(RECOVERED.model_copy(update={"status": "Recovered"})),
    "ran": lambda: ran_view.lines(RAN),
    "doctor": lambda: health_view.lines(HEALTH),
    "unprotected": lambda: unprotected_view.lines(UNPROTECTED, NOW),
    "writers": lambda: writers_view.lines(WRITERS, local),
    "cost": lambda: costs_view.lines(costs([BAD], {})),
    "prune": lambda: retention_view.pruned(PRUNED),
    "hold": lambda: retention_view.held(HELD),
    "release": lambda: retention_view.held(HELD.model_copy(update={"held": False})),
    "next": lambda: next_view.lines(NEXT, local),
}


def printed(lines: Iterable[RenderableType], width: int | None, color_system: str | None = None) -> str:
    console = Console(
        file=io.StringIO(),
        width=width or PIPED_WIDTH,
        force_terminal=width is not None,
        color_system=color_system,  # type: ignore[arg-type]
        highlight=False,
        markup=False,
        emoji=False,
    )
    Screen(console, console, local).show(lines)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def letters(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("name", VIEWS)
def test_a_terminal_of_sixty_columns_is_enough(name: str) -> None:
    lines = printed(VIEWS[name](), NARROW).splitlines()
    assert lines
    assert max(map(len, lines)) <= NARROW


@pytest.mark.parametrize("name", sorted(set(VIEWS) - {"points", "show", "next", "writers"}))
def test_a_narrow_terminal_shows_all_that_a_wide_one_shows(name: str) -> None:
    """Of points, snapshots, next runs and writers it shows blocks instead of rows."""
    assert sorted(letters(printed(VIEWS[name](), NARROW))) == sorted(letters(printed(VIEWS[name](), 500)))


@pytest.mark.parametrize("name", VIEWS)
def test_nothing_is_cut(name: str) -> None:
    assert "…" not in printed(VIEWS[name](), NARROW).replace("… a backup", "")


@pytest.mark.parametrize("name", VIEWS)
def test_a_pipe_gets_no_colours_and_no_blanks_at_the_end_of_a_line(name: str) -> None:
    text = printed(VIEWS[name](), None)
    assert not ESCAPE.search(text)
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("name", ["status", "points", "plan", "doctor", "explain"])
def test_a_terminal_gets_colours_that_say_no_more_than_the_words(name: str) -> None:
    coloured = printed(VIEWS[name](), 100, "standard")
    assert ESCAPE.search(coloured)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == printed(VIEWS[name](), 100)


def test_a_pipe_gets_one_line_for_each_point_with_all_of_it() -> None:
    rows = printed(points_view.lines(POINTS, local), None).splitlines()
    assert LONG_ID in rows[1]
    assert "2026-03-14 01:30 UTC  02:30" in rows[1]


def test_a_servers_name_and_a_scripts_words_never_command_the_terminal() -> None:
    evil = a_record(instance_name="\x1b[2Jname\x9b31m", reason="\x07bell\rover[bold]x[/bold]", status="Failed")
    text = printed(record_view.lines(evil, local), 100)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert "[2Jname" in text
    assert "[bold]x[/bold]" in text


def test_good_news_is_one_line() -> None:
    good = Status(
        stack="quiesce",
        region="eu-central-1",
        checked_at=NOW,
        good=True,
        servers=[],
        alarms=[],
        running=[],
        problems=[],
    )
    server = ServerStatus(
        instance_id=INSTANCE, name="S", policy="p", good=True, newest=None, newest_good=brief(a_record()), problem=""
    )
    text = printed(status_view.lines(good.model_copy(update={"servers": [server]}), local), None)
    assert text.splitlines()[0] == "Everything is good.  quiesce in eu-central-1"
    assert "No policy names a server yet." in printed(status_view.lines(good, local), None)


def test_status_says_of_a_server_that_is_not_good_since_when_and_what_to_type() -> None:
    run = a_record(status="Failed", reason="no agent", started_at=NOW, snapshots_at=None, ended_at=NOW)
    bad = ServerStatus(
        instance_id=INSTANCE,
        name="DB1",
        policy="orders",
        good=False,
        newest=brief(run),
        newest_good=None,
        problem="no agent",
        since=NOW - timedelta(days=2),
        do="start the agent",
    )
    never = bad.model_copy(update={"newest": None, "since": None, "do": ""})
    text = printed(status_view.lines(STATUS.model_copy(update={"servers": [bad, never]}), local), NARROW)
    assert "since 2026-03-12 01:30 UTC, 5 days ago" in text
    assert "do            start the agent" in text
    assert f"quiesce run orders {INSTANCE}" in text


def test_a_point_that_cannot_be_recovered_from_says_why_where_there_is_room() -> None:
    failed = a_record(status="Failed", reason="SnapshotRefused: it is attached twice", snapshots=[])
    points = Points(points=shapes([failed], {}), more=0, left_out=0, problems=[])
    text = " ".join(printed(points_view.lines(points, local), NARROW).split())
    assert "no server can be recovered from it: its run failed: SnapshotRefused: it is attached twice" in text
    assert "root" not in text


def test_an_archived_point_is_named_with_its_hours_in_every_width() -> None:
    [point] = shapes([a_record(run_id="old", snapshots=[a_snapshot_record()])], {})
    archived = point.model_copy(update={"there": True, "flaw": "", "archived": 6})
    page = Points(points=[archived], more=0, left_out=0, problems=[])
    for width in (None, 60):
        said = " ".join(printed(points_view.lines(page, local), width).split())
        assert "archived" in said
        assert "which takes up to 144 h" in said


def test_a_time_ago_is_as_exact_as_a_person_wants_to_know() -> None:
    passed = [timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=47), timedelta(days=9, hours=5)]
    assert [ago(NOW - each, NOW) for each in passed] == ["just now", "5 min ago", "47 h ago", "9 days ago"]
    assert [seconds(each) for each in (4.21, 75.0, 7260.0)] == ["4.2 s", "1 min 15 s", "2 h 1 min"]


def test_what_is_good_says_so_and_no_more() -> None:
    best = a_record(consistency={"level": "application", "reason": "held"})
    assert "Nothing is wrong with it." in printed(explained_view.lines(explain(best)), None)
    good = HEALTH.model_copy(update={"good": True, "checks": [Check(name="stack", good=True, words="x", remedy="")]})
    assert printed(health_view.lines(good), None).splitlines()[-1] == "All is as it should be."
    started = RAN.model_copy(update={"status": "Running"})
    assert printed(ran_view.lines(started), None) == f"Started. Look on: quiesce follow {LONG_ID}\n"
    succeeded = RAN.model_copy(update={"status": "Successful", "record": "", "consistency": ""})
    assert "explain" not in printed(ran_view.lines(succeeded), None)
    nothing = Points(points=[], more=0, left_out=2, problems=[])
    assert printed(points_view.lines(nothing, local), None).startswith("None on this page.\n")
    assert printed(next_view.lines(NextRuns(runs=[], paused=False, remarks=[]), local), None).startswith("No schedule")


def test_unprotected_says_what_is_good_and_what_is_not_known() -> None:
    good = UNPROTECTED.model_copy(update={"good": True, "servers": [], "left": [], "problems": []})
    assert printed(unprotected_view.lines(good, NOW), None).startswith("All 10000 Windows servers are covered.")
    unknown = UNPROTECTED.model_copy(update={"servers": []})
    assert printed(unprotected_view.lines(unknown, NOW), None).startswith("Not everything is known.")


def test_writers_say_which_took_part_and_which_failed_and_what_to_do_where_there_are_none() -> None:
    shown = printed(writers_view.lines(WRITERS, local), None)
    assert re.search(r"none writer +took no part +FAILED: VSS_E_WRITERERROR_TIMEOUT +\{a{8}-", shown)
    nothing = printed(writers_view.lines(Writers(servers=[], more=0, problems=[]), local), None)
    assert "quiesce run POLICY SERVER" in nothing


def test_a_servers_writers_are_those_of_its_newest_run_that_asked_vss() -> None:
    def run(name: str, hour: int, *writers: str, server: str = INSTANCE) -> Record:
        listed = [ListedWriter(name=each, writer_id="{1}", state="STABLE", part="whole") for each in writers]
        shadow = ShadowOutcome(good=True, kind="good", reason="", listed=listed) if listed else None
        ended = NOW.replace(hour=hour)
        return a_record(run_id=name, instance_id=server, ended_at=ended, shadow=shadow)

    other = "i-0fedcba9876543210"
    records = [run("old", 1, "Old"), run("new", 3, "SqlServerWriter"), run("crash", 4), run("x", 2, "X", server=other)]
    found = {each.instance_id: (each.run_id, [w.name for w in each.writers]) for each in writers_by_server(records)}
    assert found == {INSTANCE: ("new", ["SqlServerWriter"]), other: ("x", ["X"])}
