"""The verdict on a run, from everything that happened to it. One pure function; nothing else decides it."""

from dataclasses import replace

from quiesce.backup.findings import Findings
from quiesce.backup.shadow_problems import evidence_words
from quiesce.backup.snapshot_verdict import Verdict
from quiesce.backup.state import Plan
from quiesce.points.parts import Consistency
from quiesce.vss.known_writers import name_of

HELD = "the before script succeeded, and the application was held until the snapshots were initiated"
HELD_BY_SESSION = "the session script held the application until the snapshots were initiated"
MAYBE_HELD = "the application may still be held"
RUN_IT = "find out why, and run the after script on the server by hand (runbook: An application may still be held)"
# Of a session script, whose process does not run any more: there is nothing to run.
LOOK_AT_IT = (
    "the script has ended, and its connections with it: make sure that the application works, then mend the script"
)
WRONG_DESCRIPTION = "the snapshots' description says 'VSS snapshot' and can't be changed: that turned out to be wrong"


def judge(findings: Findings) -> Verdict:
    """Judge a run by its findings.

    Returns:
        ``Skipped`` on a passive node of a cluster; ``Failed`` unless the snapshots are good; ``PartiallySuccessful`` if
        they are, but any part of the freeze that the policy wants went wrong; else ``Successful``. The notes of
        a failed run have what went wrong on the server besides its cause: the application may still be held.
    """
    verdict, plan = findings.snapshots, findings.plan
    if plan is None or plan.skipped or not plan.settings.freezes:
        return verdict
    if findings.maybe_held:
        do = LOOK_AT_IT if _holds(findings) else RUN_IT
        verdict = replace(verdict, notes=(*verdict.notes, f"{MAYBE_HELD}: {findings.maybe_held}; {do}"))
    problems = [*findings.problems, *findings.end_problems]
    if verdict.status == "Failed":
        others = [problem for problem in problems if findings.asked and problem not in findings.in_cause]
        return replace(verdict, notes=(*verdict.notes, *others))
    consistency = Consistency(level="application", reason=_held_words(findings, plan))
    if not findings.consistent or findings.contradicted:
        consistency = Consistency(level="crash", reason=findings.problems[0])
        verdict = replace(verdict, notes=(*verdict.notes, *([WRONG_DESCRIPTION] if findings.says_vss else [])))
    if problems:
        return replace(verdict, status="PartiallySuccessful", consistency=consistency, reason="; ".join(problems))
    return replace(verdict, consistency=consistency)


def _holds(findings: Findings) -> bool:
    return findings.session is not None and findings.session.holds


def _held_words(findings: Findings, plan: Plan) -> str:
    shadow, name = findings.shadow, "session script" if _holds(findings) else "before script"
    scripts = "" if plan.settings.scripts == "off" else f", while the {name} held the application"
    if plan.by_aws:
        return f"AWS's document made the snapshots by VSS, and each is tagged AppConsistent=true{scripts}"
    if not findings.says_vss or shadow is None:
        return HELD_BY_SESSION if _holds(findings) else HELD
    paths = ", ".join(copy.path or copy.volume_guid for copy in shadow.copies)
    excluded = [name_of(writer) for writer in plan.shadow.excluded_writers] if plan.shadow else []
    left_out = ", ".join(plan.shadow.left_out) if plan.shadow else ""
    without = f" (not of {left_out}, which is as after a power failure, as the policy says)" if left_out else ""
    words = f"the snapshots hold shadow copies of {paths}{without}, made by VSS with its writers"
    words += f" but for {', '.join(excluded)}, which the policy excludes" if excluded else ""
    return f"{words}{scripts}, {evidence_words(findings.evidence)}"
