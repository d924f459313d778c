"""The largest server that EC2 and VSS allow: all that its run puts into the state document has to fit."""

import json
from typing import Any
from uuid import UUID

from quiesce.backup.findings import gather
from quiesce.backup.recording import Places, write
from quiesce.backup.state import RunState
from quiesce.backup.verdict import judge
from quiesce.calls import take_calls
from quiesce.guest.sessions import GuestShadowCopy, Session, Shadow, ShadowStorage, without_listing
from quiesce.points.evidence import Build, ReadSnapshot, VerifiedCopy
from quiesce.points.parts import ShadowCopy, ShadowOutcome, Volume
from quiesce.revert.request import VerifiedRun
from quiesce.steps.backup.entry import leave
from quiesce.vss.plan import ShadowPlan, ShadowVolume
from quiesce.vss.script import MAX_VOLUMES, SYSTEM_PROVIDER
from tests.support.environment import MAX_STATE_BYTES
from tests.support.factories.run import (
    NOW,
    NOW_MS,
    a_complete,
    a_freeze,
    a_plan,
    a_session,
    a_snapshot,
    a_snapshot_set,
    a_state,
    a_thaw,
    a_volume,
    an_awaited,
    snapshot_id,
    some_settings,
    volume_id,
)

# Root and 127 data volumes (EBS User Guide, multi-volume snapshots).
VOLUMES = 128


def an_id(number: int) -> str:
    return f"{{{UUID(int=number)}}}"


def a_guid(number: int) -> str:
    return f"\\\\?\\volume{an_id(number)}\\"


def the_volume(number: int) -> Volume:
    key = f"arn:aws:kms:eu-central-1:123456789012:key/{UUID(int=7)}"
    device = f"xvd{chr(97 + number // 26)}{chr(97 + number % 26)}" if number else "/dev/sda1"
    changes: dict[str, Any] = {"iops": 3000, "throughput_mibps": 125, "encrypted": True, "kms_key_id": key}
    fields = {"volume_id": volume_id(number), "device": device, "root": not number, "drives": ["D:"], **changes}
    return a_volume(1, **fields)


def the_shadow() -> Shadow:
    device = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy123"
    kind = {"persistent": True, "client_accessible": False, "no_auto_release": True, "no_writers": False}
    copies = [
        GuestShadowCopy(
            id=an_id(n),
            set_id=an_id(0),
            volume_guid=a_guid(n),
            device_object=device,
            provider_id=SYSTEM_PROVIDER,
            **kind,
        )
        for n in range(MAX_VOLUMES)
    ]
    sizes = {"used_bytes": 1 << 30, "allocated_bytes": 1 << 34, "max_bytes": 1 << 40}
    storage = [ShadowStorage(volume_guid=a_guid(n), storage_guid=a_guid(n), **sizes) for n in range(MAX_VOLUMES)]
    times = {"started_ms": NOW_MS, "created_ms": NOW_MS, "ended_ms": NOW_MS}
    fields = {
        "reason": "",
        "process_id": 1,
        "started_ticks": 1,
        "exit_code": 0,
        "set_id": an_id(0),
        "deleted": True,
        **times,
    }
    return Shadow.model_validate({**fields, "copies": copies, "storage": storage})


def the_session(phase: str, *, asked: bool = True) -> Session:
    """Return the session; Windows is ``asked`` about the shadow copies once it has thawed."""
    shadow = the_shadow()
    return a_session(phase, shadow=shadow if asked else shadow.model_copy(update={"copies": None, "storage": None}))


def test_the_largest_run_that_goes_well_fits_into_the_state_document_and_so_does_its_record() -> None:
    paths = [f"C:\\mounts\\volume-{n}\\" for n in range(MAX_VOLUMES)]
    volumes = [ShadowVolume(volume_guid=a_guid(n), path=path, volume_id=volume_id(n)) for n, path in enumerate(paths)]
    copies = [
        ShadowCopy(shadow_id=an_id(n), volume_guid=a_guid(n), path=p, volume_id=volume_id(n), storage_guid=a_guid(n))
        for n, p in enumerate(paths)
    ]
    seen = {"verdict": "present", "reason": "it is listed, its store begins as it should, and writers were involved"}
    build = Build(verdict="not known", reason="w" * 300, blocks_read=196_608, blocks_written=196_608, dollars=1.76947)
    more = {"build": build, "created_at": NOW, "before_snapshot_s": 2.1, "writers_involved": True, **seen}
    evidence = VerifiedRun(
        **seen,
        build=build,
        copies=[
            VerifiedCopy(
                shadow_id=c.shadow_id, path=c.path, volume_id=c.volume_id, storage_volume_id=c.volume_id, **more
            )
            for c in copies
        ],
        snapshots=[
            ReadSnapshot(snapshot_id=snapshot_id(n), volume_id=volume_id(n), blocks=5, problem="")
            for n in range(VOLUMES)
        ],
    )
    homes = [a_guid(n) for n in range(max(VOLUMES, MAX_VOLUMES))]
    settings = some_settings(vss={}, scripts={"from": "bucket"})
    snapshots = [a_snapshot(n, progress="100%", completed_at=NOW) for n in range(VOLUMES)]
    bare, listing = without_listing(the_session("thawed"))
    made = ShadowOutcome(good=True, kind="created", reason="made", set_id=an_id(0), copies=copies)
    state = a_state(
        plan=a_plan(
            settings=settings,
            volumes=1,
        ).model_copy(
            update={
                "volumes": [the_volume(n) for n in range(VOLUMES)],
                "shadow": ShadowPlan(volumes=volumes, homes=homes),
            }
        ),
        freeze=a_freeze(the_session("frozen", asked=False), shadow=made),
        snapshot=a_snapshot_set(*snapshots),
        thaw=a_thaw(bare).model_copy(update={"listing": listing}),
        await_snapshots=an_awaited(*snapshots),
        verify=evidence,
        complete=a_complete(without_listing(the_session("ended"))[0]).model_copy(update={"ending": "completed"}),
    )
    assert state.session == the_session("ended")
    findings = gather(state)
    verdict = judge(findings)
    assert verdict.status == "Successful"
    record = write(state, findings, verdict, now=NOW, places=Places("s3://bucket/records/r.json", None))
    take_calls()
    document = {"execution": state.execution.model_dump(mode="json"), "input": state.input} | {
        name: leave(part) for name, part in state if part in state.steps()
    }
    assert RunState.model_validate(document) == state
    assert len(json.dumps(document).encode()) < MAX_STATE_BYTES
    assert len(record.model_dump_json().encode()) < MAX_STATE_BYTES
