"""What is not good: each with what it is, since when, and what to do, in the words of ``quiesce explain``. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from quiesce.pages.found import Found
from quiesce.pages.servers import Stands, zone_for
from quiesce.pages.words import ago, moment, sentence
from quiesce.report.explaining import causes_of

LOOK_AT_SCHEDULE = "See whether the schedule started anything, and what the policy run says of this server."
START_BY_HAND = "Start a run by hand, and see what it says."
MEND_FILE = "Put a file that 'quiesce policy check' takes."


@dataclass(frozen=True)
class Trouble:
    """Something that is not good: what, since when, and what to do; a field that has nothing to say is empty."""

    name: str
    what: str
    policy: str = ""
    since: str = ""
    do: str = ""
    command: str = ""
    link: str = ""


def troubles_of(stands: Sequence[Stands], found: Found) -> list[Trouble]:
    """Return what is not good: servers first, the worst of them first, then alarms, policies, unread records."""
    return [
        *(_of_server(each, found) for each in sorted(stands, key=lambda one: one.weight) if each.problem),
        *(
            Trouble(
                f"Alarm {alarm.name}",
                sentence(alarm.about),
                since=f"{moment(alarm.since, found.zone).utc}, {ago(alarm.since, found.now)}",
            )
            for alarm in found.alarms or ()
        ),
        *(
            Trouble(f"Policy {policy.name}", sentence(policy.problem), do="" if policy.servers else MEND_FILE)
            for policy in found.policies
            if policy.problem
        ),
        *(Trouble("Not read", sentence(problem)) for problem in found.problems),
    ]


def _of_server(stands: Stands, found: Found) -> Trouble:
    run, policy = stands.run, stands.policy.name
    causes = causes_of(run) if run else []
    if run:
        do, command = sentence(causes[0].do) if causes else "", f"quiesce explain {run.run_id}"
    elif stands.records:
        do, command = LOOK_AT_SCHEDULE, f"quiesce policy next {policy}"
    else:
        do, command = START_BY_HAND, f"quiesce run {policy} {stands.server.instance_id}"
    zone = zone_for(stands.policy, found)
    return Trouble(
        name=stands.name,
        policy=policy,
        what=sentence(stands.problem),
        since=f"{moment(stands.since, zone).utc}, {ago(stands.since, found.now)}" if stands.since else "",
        do=do,
        command=command,
        link=found.link(run.instance_id, run.run_id) if run else "",
    )
