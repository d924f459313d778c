"""Why a run is not Successful or not application-consistent: each cause, where it is said, and what to do. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from quiesce.backup.planning import NOT_FROZEN
from quiesce.backup.session_problems import script_problem
from quiesce.guest.sessions import Session
from quiesce.points.record import Record
from quiesce.vss.hresults import TABLE

RUNBOOK, CONSISTENCY, REFERENCE = "docs/operate/runbook.md", "docs/use/consistency.md", "docs/reference/reference.md"
CLUSTERS, SCRIPTS, PARTIAL = "docs/use/clusters.md", "docs/use/scripts.md", f"{RUNBOOK}#partially-successful"
BY_HEX = {f"0x{code:08X}": hresult for code, hresult in TABLE.items()}


@dataclass(frozen=True)
class Why:
    """A cause: what happened, where it is said, what to do, and the page of the documentation about it."""

    what: str
    source: str
    do: str
    page: str


def is_best(record: Record) -> bool:
    """Say whether a run is as good as can be: Successful, and application-consistent."""
    return record.status == "Successful" and record.consistency.level == "application"


def causes_of(record: Record) -> list[Why]:
    """Return why a run is not better than it is; no cause if it is as good as can be."""
    return [] if is_best(record) else list(_causes(record))


def _causes(record: Record) -> Iterator[Why]:
    found = [*_failure(record), *_session(record), *_shadow(record), *_evidence(record)]
    yield from found
    if not found and record.status == "Successful":
        what = f"nobody asked an application: {record.consistency.reason}"
        do = "leave out 'vss: off' in the policy, or give it scripts, if an application must be consistent"
        yield Why(what=what, source="the record's consistency", do=do, page=CONSISTENCY)
    elif not found:
        yield Why(
            what=record.reason,
            source="the record's reason",
            do=_by_reason(record),
            page=CLUSTERS if record.status == "Skipped" else PARTIAL,
        )


def _by_reason(record: Record) -> str:
    """Return what to do where the record's reason is all there is."""
    if record.status == "Skipped":
        return "nothing, as long as another node of the cluster is backed up: 'quiesce status' says if none is"
    unasked = "or write 'agent: none' for it in the policy"
    if record.reason == f"{NOT_FROZEN}the server was stopped":
        return f"start the server before its backup, {unasked}"
    if record.reason.startswith(NOT_FROZEN):
        return f"mend that on the server, in its instance profile or its network; {unasked}"
    return "look the words up in the runbook; 'quiesce show' has the notes and the files of the session"


def _failure(record: Record) -> Iterator[Why]:
    if record.failure is None:
        return
    words = f"{record.failure.error}: {record.failure.cause}"
    do = "do what the message says, then start a new run"
    if record.failure.error == "AgentUnreachable":
        page, do = (
            f"{RUNBOOK}#the-server-did-not-answer",
            "make sure that the application works; then look at the agent",
        )
    elif record.failure.error == "GuestRefused":
        page, do = f"{RUNBOOK}#what-the-server-says", "look the message's first word up there"
    else:
        page = f"{REFERENCE}#errors"
    yield Why(what=words, source=f"the execution, {record.execution}", do=do, page=page)


def _session(record: Record) -> Iterator[Why]:
    session = record.session
    if session is None:
        return
    files = f"session.log in {record.logs.place}" if record.logs and record.logs.place else "the record's session"
    yield from _scripts(session, record)
    if session.auto_thawed:
        do = "compare 'frozen' of quiesce show with freeze_limit_s of the policy; look whether the agent was online"
        what = "the server thawed by itself before AWS asked it to"
        yield Why(what=what, source=files, do=do, page=f"{RUNBOOK}#a-server-thawed-by-itself")
    if session.runner_lost:
        what = "the session lost its runner before the thaw: the server restarted, or a program ended it"
        do = "look at the server's event log for that time, and at the exceptions of endpoint protection"
        yield Why(what=what, source=files, do=do, page="docs/operate/guest.md#endpoint-protection")
    if session.alive:
        what = f"the server could not end {', '.join(session.alive)}"
        yield Why(what=what, source=files, do="look for it on the server, and end it", page=RUNBOOK)


def _scripts(session: Session, record: Record) -> Iterator[Why]:
    for stage, script in (("before", session.before), ("after", session.after), ("complete", session.complete)):
        if script is None or script.succeeded:
            continue
        place = f"{record.logs.place}" if record.logs else "the record's session"
        held = stage == "after"
        do = (
            "make sure that the application works: it may still be held; then mend the script"
            if held
            else ("run the script on the server by hand, and mend what it names")
        )
        page = f"{RUNBOOK}#an-application-may-still-be-held" if held else SCRIPTS
        yield Why(
            what=script_problem(stage, script, holds=session.holds),
            source=f"the script's output in {place}",
            do=do,
            page=page,
        )


def _shadow(record: Record) -> Iterator[Why]:
    shadow = record.shadow
    if shadow is None or shadow.good:
        return
    source = f"diskshadow.log in {record.logs.place}" if record.logs and record.logs.place else "the record's shadow"
    known = [BY_HEX[code] for code in shadow.hresults if code in BY_HEX]
    advice = "; ".join(dict.fromkeys(hresult.advice for hresult in known))
    yield Why(
        what=shadow.reason,
        source=source,
        do=advice or "look the words up in the runbook's table",
        page=f"{RUNBOOK}#vss-failed",
    )


def _evidence(record: Record) -> Iterator[Why]:
    evidence = record.evidence
    if evidence is None or evidence.verdict in (None, "present"):
        return
    unread = evidence.verdict == "not verifiable"
    page = f"{RUNBOOK}#not-verifiable" if unread else f"{RUNBOOK}#vss-failed"
    do = "do what the runbook says about these words" if unread else "take the snapshots for crash-consistent"
    what = f"the shadow copies in the snapshots are {evidence.verdict}: {evidence.reason}"
    yield Why(what=what, source="the record's evidence, read out of the snapshots", do=do, page=page)
