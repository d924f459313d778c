"""What must hold after every whole run, whatever faults it met, compared with what really happened.

Each check yields sentences; none means that all is well.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from quiesce.backup.shadow_problems import KILLED
from sandbox.windows.session import Session
from tests.statemachine.faults import World
from tests.statemachine.observed import Observed
from tests.support.cloud import Cloud
from tests.support.machine import Run

# The simulated server looks at its session every five seconds.
TICK_S = 6.0
FREEZE_LIMIT_S = 120
BEFORE_LIMIT_S = 60.0
# What a record may give as reason for less than what really was: that we could not know.
NOT_KNOWN = (
    "it is not known",
    "the answer of CreateSnapshots was lost",
    "Thaw got no answer",
    "the server did not report",
    "the session lost its runner",
    "it was not shown that",
)
# By the server's clock alone: nothing shows whether that was before the snapshots or after them.
BY_ITSELF = "the server thawed by itself"


@dataclass(frozen=True)
class Outcome:
    """A run of one execution, with its record and item; None where there is none."""

    cloud: Cloud
    observed: Observed
    world: World
    run: Run
    record: dict[str, Any] | None
    item: dict[str, str] | None

    @property
    def run_id(self) -> str:
        """The run's id, which is its execution's name."""
        return self.run.name

    @property
    def was_swept(self) -> bool:
        """Whether the execution ended without a report, so that sweep judged the run."""
        return "Report" not in self.run.states or self.run.states[-1] == "ReportFailed"

    @property
    def with_scripts(self) -> bool:
        """Whether the policy has scripts."""
        return self.world.policy in ("scripts", "both", "strict")

    @property
    def with_vss(self) -> bool:
        """Whether the policy has VSS."""
        return self.world.policy in ("vss", "both", "strict")


def says_it_does_not_know(outcome: Outcome) -> bool:
    """Return whether a Failed run's record says that quiesce could not look, or looked before EC2 had listed all.

    Then they may be good; the run's tag finds them, with which EC2 made them.
    """
    if outcome.record is None or outcome.record["status"] != "Failed":
        return False
    by_tag = {s.id for s in outcome.observed.snapshots_of(outcome.run_id)}
    return bool(by_tag) and any(
        "it is not known whether" in note and "snap" in note for note in outcome.record["notes"]
    )


def held_too_long(world: World, observed: Observed) -> Iterator[str]:
    """No application is held past its limit, by the server's own clock."""
    for held, freed in observed.holds():
        until_s = held.at_s + min(held.seconds, BEFORE_LIMIT_S) + FREEZE_LIMIT_S + world.asleep_s + TICK_S
        own = [s for s in observed.scripts_of(held.run_id, "after") if s.attempt == held.attempt]
        if not own:
            yield f"{held.run_id} attempt {held.attempt}: after never ran"
        elif own[0].at_s > until_s:
            yield f"{held.run_id} attempt {held.attempt}: held for {own[0].at_s - held.at_s:.0f} s"
        if freed is None and all(s.exit_code == 0 for s in own):
            yield f"{held.run_id} attempt {held.attempt}: the application is still held"


def ran_twice(world: World, observed: Observed) -> Iterator[str]:
    """No script runs twice in an attempt, and complete but once in a run.

    While the disk is full the server cannot note that after has run: it runs again rather than not at all.
    """
    by_attempt = Counter(
        (s.run_id, s.attempt, s.stage) for s in observed.scripts if s.stage != "after" or not world.disk_was_full
    )
    yield from (f"{each} ran {times} times" for each, times in by_attempt.items() if times > 1)
    completes = Counter(s.run_id for s in observed.scripts if s.stage == "complete")
    yield from (f"complete of {run_id} ran {times} times" for run_id, times in completes.items() if times > 1)


def snapshots_twice(outcome: Outcome) -> Iterator[str]:
    """A run leaves one set of snapshots, and its record names all of them."""
    found = outcome.observed.snapshots_of(outcome.run_id)
    if max(Counter(s.volume_id for s in found).values(), default=0) > 1:
        yield "a second set of snapshots"
    if outcome.record is None:
        if found and outcome.item is None:
            yield "snapshots of a run of which there is neither a record nor an item"
        return
    named = {s["snapshot_id"] for s in outcome.record["snapshots"]}
    missing = {s.id for s in found if s.status != "gone"} - named
    if missing and not says_it_does_not_know(outcome):
        yield f"the record does not name {sorted(missing)}"
    if strange := named - {s.id for s in found}:
        yield f"the record names {sorted(strange)}, which are not the run's"


def tagged_otherwise(outcome: Outcome) -> Iterator[str]:
    """Each snapshot has the record's consistency as its tag, or the record says that it has none."""
    if outcome.record is None or says_it_does_not_know(outcome):
        return
    level, notes = outcome.record["consistency"]["level"], " ".join(outcome.record["notes"])
    by_id = {s["id"]: s["tags"].get("quiesce:consistency") for s in outcome.cloud.snapshots()}
    for snapshot in outcome.observed.snapshots_of(outcome.run_id):
        told = f"{snapshot.id} has no quiesce:consistency" in notes
        if snapshot.status != "gone" and by_id[snapshot.id] != level and not told:
            yield f"{snapshot.id} is tagged {by_id[snapshot.id]}, and the record says {level}"


def complete_problems(outcome: Outcome) -> Iterator[str]:
    """Complete gets 1 only if the whole backup succeeded, and after gets before's true status."""
    observed, run_id = outcome.observed, outcome.run_id
    befores = {s.attempt: s for s in observed.scripts_of(run_id, "before")}
    for after in observed.scripts_of(run_id, "after"):
        before = befores.get(after.attempt)
        good = before is not None and before.exit_code == 0 and before.seconds <= BEFORE_LIMIT_S
        if after.argument == "1" and not good:
            yield "after got 1, though before had not succeeded"
    for complete in observed.scripts_of(run_id, "complete"):
        if complete.argument == "1":
            yield from (f"complete got 1, though {why}" for why in not_application(outcome))
            if outcome.record and outcome.record["status"] == "Failed":
                yield f"complete got 1, and the record says Failed: {outcome.record['reason']}"


def not_application(outcome: Outcome) -> Iterator[str]:
    """Yield what keeps a run's snapshots from being application-consistent, in truth."""
    taken, observed = outcome.observed.taken_by(outcome.run_id), outcome.observed
    if taken is None:
        yield "there are no snapshots"
        return
    if not observed.is_whole(outcome.run_id):
        yield "not every volume has a completed snapshot"
    if outcome.with_scripts and not (taken.held and held_by_before(outcome)):
        yield "the application was not held when EC2 took the snapshots"
    # The record of a run that sweep judged names no shadow copies.
    if not outcome.with_vss or outcome.record is None:
        return
    copies = (outcome.record["shadow"] or {}).get("copies", [])
    if not copies:
        yield "there are no shadow copies"
    if gone := {copy["shadow_id"].lower() for copy in copies} - taken.shadow_ids:
        yield f"the shadow copies {sorted(gone)} did not exist when EC2 took the snapshots"
    elif (
        copies
        and observed.is_whole(outcome.run_id)
        and outcome.record["snapshots"]
        and outcome.cloud.servers.examine_shadow_copies(outcome.record).torn
    ):
        yield "the shadow copies are torn"


def held_by_before(outcome: Outcome) -> bool:
    """Return whether the last attempt's before script succeeded."""
    befores = outcome.observed.scripts_of(outcome.run_id, "before")
    return bool(befores) and befores[-1].exit_code == 0 and befores[-1].seconds <= BEFORE_LIMIT_S


def lost_diskshadow_first(outcome: Outcome) -> bool:
    """Return whether DiskShadow ended before the thaw: then nobody says that the application was consistent."""
    sessions = [s for s in outcome.observed.shop.windows.guest.sessions() if s.state["run"] == outcome.run_id]
    process = sessions[-1].shadow.process if sessions and sessions[-1].shadow else None
    after = sessions[-1].state["after"] if sessions else None
    return bool(process and after and (process.ended_s or 0.0) * 1000 <= after["endedMs"])


def better_than_truth(outcome: Outcome) -> Iterator[str]:
    """No record is better than what really is there."""
    record, observed = outcome.record, outcome.observed
    if record is None:
        return
    if record["status"] != "Failed" and not observed.is_whole(outcome.run_id):
        yield f"{record['status']}, though not every volume has a completed snapshot"
    if record["consistency"]["level"] == "application":
        yield from (f"application, though {why}" for why in not_application(outcome))
    if record["status"] == "Successful" and outcome.with_scripts:
        last = [
            s
            for s in observed.scripts_of(outcome.run_id)
            if s.stage == "complete" or s.attempt == last_attempt(outcome)
        ]
        ran = [(s.stage, s.argument, s.exit_code) for s in last]
        if ran != [("before", "", 0), ("after", "1", 0), ("complete", "1", 0)]:
            yield f"Successful, though the scripts that ran are {ran}"
    if outcome.run.status == "SUCCEEDED" and (record["status"] == "Failed" or outcome.run.output != record):
        yield "the execution succeeded, and the record says otherwise"


def last_attempt(outcome: Outcome) -> int:
    """Return the number of the last attempt that ran a script."""
    return max((s.attempt for s in outcome.observed.scripts_of(outcome.run_id)), default=0)


def worse_than_truth(outcome: Outcome) -> Iterator[str]:
    """No record is worse than what really is there, unless it says that something could not be known."""
    record = outcome.record
    if record is None:
        return
    unknown = says_it_does_not_know(outcome)
    if record["status"] == "Failed" and outcome.observed.is_whole(outcome.run_id) and not unknown:
        yield f"Failed, though every volume has a completed snapshot: {record['reason']}; {record['notes']}"
    truth = list(not_application(outcome)) if outcome.with_scripts or outcome.with_vss else ["nothing was to be held"]
    if record["consistency"]["level"] == "crash" and not truth:
        words = record["consistency"]["reason"]
        by_itself = words.startswith(BY_ITSELF) and record["session"]["auto_thawed"]
        killed = words == KILLED and lost_diskshadow_first(outcome)
        if not words.startswith(NOT_KNOWN) and not by_itself and not killed:
            yield f"crash, though the application was held: {words}"
    if record["status"] != "Successful" and not outcome.world.fired:
        yield f"{record['status']}, though nothing happened: {record['reason']}"


def untold(outcome: Outcome) -> Iterator[str]:
    """Each run that is not Successful is told by mail, or its record says that the mail could not be sent."""
    record = outcome.record
    if record is None or record["status"] == "Successful":
        return
    texts = [text for _, text in outcome.cloud.mails() if record["execution"] in text]
    if not texts and not any("the mail was not sent" in note for note in record["notes"]):
        yield "no mail tells of it"
    if outcome.run.status == "SUCCEEDED" and record["failure"]:
        yield "a failure in the record of an execution that succeeded"


def unrecorded(outcome: Outcome) -> Iterator[str]:
    """Each execution has a record, which its item points to, unless its end was reported to nobody."""
    if outcome.record is None:
        if outcome.run.status == "SUCCEEDED" or outcome.world.swept:
            yield f"there is no record; the execution ended as {outcome.run.status} {outcome.run.error}"
        return
    # Where sweep never came through, the bucket may have the record, and the table not yet.
    if outcome.world.swept and (outcome.item is None or outcome.item["status"] != outcome.record["status"]):
        yield f"item and record differ: {outcome.item and outcome.item['status']}, {outcome.record['status']}"


def left_on_the_server(observed: Observed) -> Iterator[str]:
    """In the end no session is open, and no shadow copy of ours is left."""
    guest = observed.shop.windows.guest
    yield from (f"an open session: {_words(s)}" for s in guest.sessions() if s.phase != "ended")
    if guest.vss.shadow_copies:
        yield f"{len(guest.vss.shadow_copies)} shadow copies are left on the server"


def _words(session: Session) -> str:
    return f"{session.state['run']} attempt {session.attempt} is {session.phase}"


def unnamed_images(cloud: Cloud, outcomes: list[Outcome]) -> Iterator[str]:
    """Each image of ours is named by a record, or by its own tag of the run that made it."""
    named = {record["initial_image"] for record in cloud.records().values()}
    for image in cloud.servers.backend().amis.values():
        tagged = {tag["value"] for tag in image.get_tags() if tag["key"] == "quiesce:run"}
        if image.instance_id and image.id not in named and not tagged & {o.run_id for o in outcomes}:
            yield f"no record names the image {image.id}"


def of_run(outcome: Outcome) -> Iterator[str]:
    """Return everything that is wrong with one run."""
    for check in (snapshots_twice, tagged_otherwise, complete_problems, better_than_truth, worse_than_truth, untold):
        yield from check(outcome)
    yield from unrecorded(outcome)
