"""The mails about policies' files and their schedules."""

from quiesce.report.mail import Mail
from quiesce.schedules.outcome import Outcome, Pass

IN_FORCE = "The last good text of the policy stays in force: its schedules go on, and run by it."
NOT_IN_FORCE = "No text of this policy is in force: it has no schedules until its file is good."


def mail_of_file(outcome: Outcome) -> Mail | None:
    """Return the mail about a file that was put, changed or deleted, or None if nobody must know."""
    name = outcome.policy
    if outcome.refused:
        if not outcome.is_new:
            return None
        return Mail(f"Policy refused: {name}", "\n".join([*_refusal(outcome), *_problems(outcome)]))
    if outcome.problems:
        return Mail(f"Schedules refused: policy {name}", "\n".join([*_problems(outcome), *_notes(outcome)]))
    if outcome.was_refused and outcome.where:
        words = f"{outcome.where} is good again, and in force."
        return Mail(f"Policy good again: {name}", "\n".join([words, *_notes(outcome)]))
    if outcome.notes and outcome.is_new:
        return Mail(f"Policy taken, with notes: {name}", "\n".join([outcome.where, *_notes(outcome)]))
    return None


def mail_of_pass(look: Pass, stack: str, pause: str, *, asked: bool) -> Mail | None:
    """Return the mail about a look at all files, or None if nobody must know.

    Args:
        look: what came of it.
        stack: the stack's name.
        pause: the place of the file that pauses all schedules.
        asked: whether the pausing file was put or deleted just now: then nothing is mended, and the rest is not told.
    """
    stack = stack[:60]
    paused = [f"{pause} pauses all schedules: nothing is backed up by schedule. Delete it to go on."]
    if asked:
        words = paused if look.paused else [f"{pause} is gone: the schedules run again."]
        return Mail(f"Schedules {'paused' if look.paused else 'run again'}: {stack}", "\n".join(words))
    refused = [line for outcome in look.outcomes if outcome.refused for line in _refusal(outcome)]
    problems = [line for outcome in look.outcomes for line in _problems(outcome)]
    mended = [f"Mended: {words}" for outcome in look.outcomes for words in outcome.changed]
    mended += [f"Mended: {name} deleted (it is no policy's)" for name in look.removed]
    strays = [f"No policy: {place}. A policy's file is policies/<name>.yaml." for place in look.strays]
    lines = [*(paused if look.paused else []), *refused, *problems, *mended, *strays]
    if not lines:
        return None
    if look.paused:
        headline = "Schedules paused"
    elif refused or problems:
        headline = "Policies refused"
    else:
        headline = "Schedules mended" if mended else "Files that are no policies"
    return Mail(f"{headline}: {stack}", "\n".join(lines))


def _refusal(outcome: Outcome) -> list[str]:
    return [outcome.refused, IN_FORCE if outcome.in_force else NOT_IN_FORCE]


def _problems(outcome: Outcome) -> list[str]:
    return [f"Refused: {each}" for each in outcome.problems]


def _notes(outcome: Outcome) -> list[str]:
    return [f"Note: {each}" for each in outcome.notes]
