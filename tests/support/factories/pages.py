"""A stack with a month behind it, and one run each of what a run can come to: what pages are made of."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from quiesce.pages.found import AlarmFound, Found, PolicyFound, ServerFound, Unprotected
from quiesce.pages.run_page import LogFile, RunFound
from quiesce.points.evidence import Build, Verified, VerifiedCopy
from quiesce.points.parts import Consistency, FailedAttempt, ShadowCopy, ShadowOutcome
from quiesce.points.record import FailureRecord, FreezeWindow, Logs, Record, SnapshotRecord
from quiesce.policy.policy import Policy
from quiesce.recovery.account import Account
from tests.support.factories.run import a_record, a_script, a_session, a_volume, snapshot_id, volume_id

BERLIN = ZoneInfo("Europe/Berlin")
# A Friday.
MORNING = datetime(2026, 3, 20, 6, 40, tzinfo=UTC)
DAYS = 34
# What a script may print, and what a tag may hold.
HOSTILE = "</pre><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'`{{7*7}}${7*7}&amp;\u202e\x00"
APPLICATION = Consistency(level="application", reason="the snapshots hold shadow copies of C:, D:, made by VSS")
CRASH = Consistency(level="crash", reason="the server was running and no application was asked")
DRIVES = ("C:", "D:", "E:")


def server_id(number: int) -> str:
    return f"i-{number:017x}"


def some_snapshots(at: datetime, sizes: tuple[int, ...] = (60, 400, 200)) -> list[SnapshotRecord]:
    return [
        SnapshotRecord(
            snapshot_id=snapshot_id(n),
            volume_id=volume_id(n),
            device=f"xvd{chr(ord('a') + n)}" if n else "/dev/sda1",
            root=n == 0,
            size_gib=size,
            state="completed",
            started_at=at,
            completed_at=at + timedelta(minutes=4),
            volume=a_volume(n, size_gib=size, drives=[DRIVES[n]]),
        )
        for n, size in enumerate(sizes)
    ]


def a_good_run(**changes: Any) -> Record:
    """Return the record of an application-consistent run with scripts and VSS, everything in it."""
    at = MORNING - timedelta(hours=5)
    ms = int(at.timestamp() * 1000)
    copies = [
        ShadowCopy(
            shadow_id=f"{{{n:08x}-1111-2222-3333-444444444444}}",
            volume_guid=f"{n}",
            path=path,
            volume_id=volume_id(n),
            storage_guid=f"{n}",
        )
        for n, path in enumerate(DRIVES)
    ]
    build = Build(
        verdict="buildable", reason="all volumes can be built", blocks_read=4120, blocks_written=870, dollars=0.02
    )
    found = [
        VerifiedCopy(
            shadow_id=copy.shadow_id,
            path=copy.path,
            verdict="present",
            reason="its blocks are there",
            volume_id=copy.volume_id,
            storage_volume_id=copy.volume_id,
            created_at=at - timedelta(seconds=2),
            before_snapshot_s=2.4,
            build=build,
        )
        for copy in copies
    ]
    session = a_session(
        "ended",
        before=a_script(started_ms=ms - 6200, ended_ms=ms - 4000),
        after=a_script("1", started_ms=ms + 320, ended_ms=ms + 1900),
        complete=a_script("1", started_ms=ms + 590_000, ended_ms=ms + 594_000),
        shadow={
            "reason": "",
            "process_id": 4,
            "started_ticks": 1,
            "exit_code": 0,
            "started_ms": ms - 3900,
            "created_ms": ms - 620,
            "ended_ms": ms + 1000,
            "set_id": "{s}",
            "copies": None,
            "storage": None,
            "deleted": True,
        },
    )
    fields = {
        "run_id": "orders-i-0123456789abcdef0-20260320T013000Z",
        "policy": "orders",
        "instance_name": "SHOP-DB1",
        "windows": "Windows Server 2022 Datacenter",
        "consistency": APPLICATION,
        "started_at": at - timedelta(seconds=30),
        "snapshots_at": at,
        "ended_at": at + timedelta(minutes=11),
        "snapshots": some_snapshots(at),
        "session": session,
        "shadow": ShadowOutcome(
            good=True,
            kind="good",
            reason="DiskShadow made the shadow copies of C:, D:, E:",
            set_id="{s}",
            copies=copies,
            writers=["SqlServerWriter", "System Writer", "Registry Writer", "WMI Writer", "COM+ REGDB Writer"],
        ),
        "evidence": Verified(
            verdict="present", reason="the snapshots hold every shadow copy", build=build, copies=found
        ),
        "freeze_window": FreezeWindow(total_ms=4320, known_ms=3560, snapshots_ms=410, thaw_ms=350),
        "logs": Logs(place="s3://bucket/logs/i/r/session-1/", files=["session.log"], problem=""),
        "calls": {"ec2:CreateSnapshots": 1, "ssm:SendCommand": 4},
        "record": "s3://bucket/records/i-0123456789abcdef0/orders.json",
    }
    return a_record(**{**fields, **changes})


def a_partial_run(**changes: Any) -> Record:
    """Return the record of a run whose writer timed out in both attempts: crash-consistent."""
    reason = "Shop Writer (VSS_WS_FAILED_AT_FREEZE): VSS_E_WRITERERROR_TIMEOUT (0x800423F2)"
    good = a_good_run()
    shadow = ShadowOutcome(good=False, kind="writer", reason=reason, hresults=["0x800423F2"], copies=[])
    fields = {
        "run_id": "orders-i-0123456789abcdef0-20260319T013000Z",
        "status": "PartiallySuccessful",
        "reason": reason,
        "consistency": Consistency(level="crash", reason=reason),
        "attempts": [FailedAttempt(attempt=1, reason=reason, ended_at=good.started_at + timedelta(minutes=1))],
        "shadow": shadow,
        "evidence": None,
        "notes": ["the policy allows a crash-consistent recovery point"],
        "overdue_sessions": [],
    }
    return a_good_run(**{**fields, **changes})


def a_failed_run(**changes: Any) -> Record:
    """Return the record of a run that Plan refused."""
    cause = "vol-0000000000000000b is attached twice; detach it from one server"
    fields = {
        "run_id": "orders-i-0123456789abcdef0-20260318T013000Z",
        "policy": "orders",
        "instance_name": "SHOP-DB1",
        "status": "Failed",
        "reason": f"SnapshotRefused: {cause}",
        "consistency": Consistency(level="none", reason="there is no snapshot"),
        "snapshots_at": None,
        "failure": FailureRecord(error="SnapshotRefused", cause=cause),
        "started_at": MORNING - timedelta(hours=5),
        "ended_at": MORNING - timedelta(hours=4, minutes=59),
    }
    return a_record(**{**fields, **changes})


def a_hostile_run() -> Record:
    """Return the record of a run in which every text that comes from outside is markup."""
    good = a_partial_run()
    copies = [copy.model_copy(update={"path": HOSTILE}) for copy in a_good_run().shadow.copies]  # type: ignore[union-attr]
    names = (
        "run_id",
        "reason",
        "policy",
        "instance_id",
        "instance_name",
        "windows",
        "started_by",
        "record",
        "execution",
    )
    return good.model_copy(
        update={
            **dict.fromkeys(names, HOSTILE),
            "consistency": Consistency(level="crash", reason=HOSTILE),
            "shadow": good.shadow.model_copy(  # type: ignore[union-attr]
                update={"reason": HOSTILE, "writers": [HOSTILE], "gone_writers": [HOSTILE], "copies": copies}
            ),
            "notes": [HOSTILE],
            "logs": Logs(place=HOSTILE, files=[HOSTILE], problem=""),
            "snapshots": [each.model_copy(update={"device": HOSTILE}) for each in good.snapshots],
            "failure": FailureRecord(error=HOSTILE, cause=HOSTILE),
        }
    )


def found_run(record: Record, log: str = "") -> RunFound:
    text = log or "01:29:54 before started\r\n01:29:56 before ended with 0\r\n01:29:57 DiskShadow: create\r\n"
    files = [
        LogFile("session.log", text),
        LogFile("diskshadow.log", "Number of shadow copies listed: 3\r\n" * 20, cut="The last 65,536 of 90,112 bytes."),
        LogFile("after.txt", "", missing="could not be read: AccessDenied"),
    ]
    return RunFound(record, BERLIN, MORNING, files if record.session else [], home="../../pages/overview.html")


def a_month(policy: str, instance_id: str, name: str, worth: str) -> list[Record]:
    """Return a run a night, a letter each, the last for today: application, crash, partial, failed, both, none."""
    records = []
    for ago, letter in enumerate(reversed(worth)):
        at = MORNING.replace(hour=1, minute=30) - timedelta(days=ago)
        made = {
            "run_id": f"{policy}-{instance_id}-{at:%Y%m%dT%H%M%SZ}",
            "policy": policy,
            "instance_id": instance_id,
            "instance_name": name,
            "started_at": at,
            "ended_at": at + timedelta(minutes=9),
            "snapshots_at": at + timedelta(seconds=40),
            "snapshots": some_snapshots(at),
            "removed_at": at + timedelta(days=21) if ago > 21 and at.weekday() else None,
        }
        failed = {"snapshots": [], "snapshots_at": None, "removed_at": None}
        match letter:
            case "a":
                records.append(a_record(**{**made, "consistency": APPLICATION}))
            case "c":
                records.append(a_record(**{**made, "consistency": CRASH}))
            case "p":
                records.append(a_partial_run(**made))
            case "f":
                records.append(a_failed_run(**{**made, **failed}))
            case "b":
                # Failed first, and good at once after it.
                records.append(a_failed_run(**{**made, **failed}))
                again = {"run_id": f"{policy}-{at:%Y%m%d}-again", "started_at": at + timedelta(hours=3)}
                records.append(a_record(**{**made, **again, "consistency": APPLICATION}))
    return records


def nightly(name: str, *instance_ids: str, **changes: Any) -> Policy:
    targets = [{"instance_id": each} for each in instance_ids]
    schedules = [{"cron": "30 2 * * ? *"}]
    return Policy.model_validate(
        {"name": name, "timezone": "Europe/Berlin", "targets": targets, "schedules": schedules, **changes}
    )


def a_recovery(**changes: Any) -> Account:
    fields = {
        "recovery_id": "drill-march",
        "status": "Recovered",
        "reason": f"{server_id(40)} runs with the volumes of {server_id(1)} built as of their shadow copies",
        "recovery_point": "orders-1",
        "from_instance_id": server_id(1),
        "snapshots_at": MORNING - timedelta(days=3),
        "instance_id": server_id(40),
        "exists": [],
        "execution": "arn:e",
        "started_at": MORNING - timedelta(days=2, minutes=14),
        "ended_at": MORNING - timedelta(days=2),
        "account": "s3://bucket/recoveries/drill-march/x.json",
    }
    return Account.model_validate({**fields, **changes})


def a_good_stack(**changes: Any) -> Found:
    """Return a stack on which everything is good."""
    a, b = server_id(1), server_id(2)
    records = [*a_month("orders", a, "SHOP-DB1", "a" * DAYS), *a_month("orders", b, "SHOP-DB2", "a" * DAYS)]
    policy = PolicyFound(
        "orders",
        nightly("orders", a, b),
        servers=[ServerFound(a, "SHOP-DB1"), ServerFound(b, "SHOP-DB2")],
        since=MORNING - timedelta(days=90),
    )
    fields = {
        "stack": "quiesce",
        "region": "eu-central-1",
        "now": MORNING,
        "zone": BERLIN,
        "policies": [policy],
        "records": records,
        "recoveries": [a_recovery()],
        "alarms": [],
        "running": [],
        "unprotected": [],
        "unprotected_at": MORNING - timedelta(hours=2),
    }
    return Found(**{**fields, **changes})


def a_troubled_stack(**changes: Any) -> Found:
    """Return a stack with everything on it that an overview can show."""
    ids = [server_id(n) for n in range(1, 7)]
    worths = {
        ids[0]: ("SHOP-DB1", "a" * 20 + "b" + "a" * (DAYS - 21)),
        ids[1]: ("SHOP-DB2", "a" * (DAYS - 2) + "pp"),
        ids[2]: ("SHOP-APP1", "c" * 18 + "-" + "c" * (DAYS - 19)),
        ids[3]: ("FILES01", "c" * 12 + "f" + "c" * (DAYS - 16) + "fff"),
    }
    records = [
        r
        for each, (name, worth) in worths.items()
        for r in a_month("orders" if each in ids[:3] else "files", each, name, worth)
    ]
    policies = [
        PolicyFound(
            "files",
            nightly("files", *ids[3:5], schedules=[{"cron": "0 23 ? * MON-FRI *"}]),
            servers=[ServerFound(ids[3], "FILES01"), ServerFound(ids[4], "FILES02")],
            since=MORNING - timedelta(days=3),
        ),
        PolicyFound(
            "orders",
            nightly("orders", *ids[:3]),
            servers=[ServerFound(each, worths[each][0]) for each in ids[:3]],
            since=MORNING - timedelta(days=90),
        ),
        PolicyFound("web", None, problem="targets[0]: is missing; add it"),
    ]
    fields = {
        "policies": policies,
        "records": records,
        "recoveries": [
            a_recovery(),
            a_recovery(
                recovery_id="files-back", status="Failed", reason="ServerNotStarted: no capacity", instance_id=""
            ),
        ],
        "alarms": [AlarmFound("quiesce-BackupFailed", "a backup failed; see docs/operate/runbook.md", MORNING)],
        "unprotected": [
            Unprotected(server_id(30), "PRINT01"),
            Unprotected(server_id(31), "", "its tag Backup is empty"),
        ],
        "problems": ["s3://bucket/records/i-1/later.json: status: is not one that this release knows"],
    }
    return a_good_stack(**{**fields, **changes})


def a_hostile_stack() -> Found:
    """Return a stack whose servers, policies and reasons are markup."""
    troubled = a_troubled_stack()
    records = [r.model_copy(update={"instance_name": HOSTILE, "reason": HOSTILE}) for r in troubled.records]
    policies = [
        PolicyFound(p.name, p.policy, HOSTILE, [ServerFound(s.instance_id, HOSTILE) for s in p.servers], p.since)
        for p in troubled.policies
    ]
    return a_troubled_stack(
        stack=HOSTILE,
        records=records,
        policies=policies,
        recoveries=[a_recovery(recovery_id=HOSTILE, reason=HOSTILE)],
        alarms=[AlarmFound(HOSTILE, HOSTILE, MORNING)],
        unprotected=[Unprotected(server_id(30), HOSTILE, HOSTILE)],
        problems=[HOSTILE],
    )


# Every page by a name: what is opened in a browser and compared with its pictures.
SAMPLES = {
    "run-good": lambda: found_run(a_good_run()),
    "run-partial": lambda: found_run(a_partial_run()),
    "run-failed": lambda: found_run(a_failed_run()),
    "run-hostile": lambda: found_run(a_hostile_run(), HOSTILE),
    "overview-good": a_good_stack,
    "overview-troubled": a_troubled_stack,
    "overview-hostile": a_hostile_stack,
    "overview-empty": lambda: a_good_stack(
        policies=[], records=[], recoveries=[], unprotected=None, unprotected_at=None, alarms=None
    ),
}
