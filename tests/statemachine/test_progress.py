"""How far a recovery is, as a person reads it while it runs, and how long its states took in past recoveries."""

import json
import re

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.instances import INSTANCES
from sandbox.aws.volumes import VOLUMES
from tests.statemachine.recoveries import assert_recovered
from tests.statemachine.test_lost_recoveries import WAITS
from tests.support.environment import TABLE
from tests.support.wire import answer_lost, dies_after, dies_before, refused, unreachable

MOVES = ["Launch", "MakeVolumes", "Stop", "Swap", "Start", "AwaitOnline", "EndSession", "Finish"]


def durations(cloud):
    """Return how long each state took, of each recovery that is remembered."""
    return [json.loads(item["took"]) for (pk, _), item in sorted(cloud.items().items()) if pk == "recoveries"]


def test_at_each_wait_a_person_reads_the_state_how_far_it_is_and_what_is_left(backed, slow, machine, cloud):
    seen = []
    machine.clock.at_next_wait(*[lambda: seen.append(cloud.progress("drill-7"))] * WAITS)
    run = backed.recover()
    states = [re.search(r"^Now: +(\w+), state (\d) of 9, for ", text, re.MULTILINE).groups() for text in seen]
    assert list(dict.fromkeys(states)) == [(name, str(n)) for n, name in enumerate(MOVES[:5], 2)]
    assert all(f"drill-7 of SERVER1 ({backed.server.instance_id}), recovery point night-1" in text for text in seen)
    words = "\n".join(seen)
    assert "3 of 3 volumes are being created" in words
    assert re.search(r"2 of 3 volumes are in place on i-\w+; vol-\w+ is attaching at", words)
    assert re.search(r"^Now: +Stop, state 4 of 9, for 5 s$", words, re.MULTILINE)
    assert "Left:      not known: no recovery of this stack has ended yet" in seen[0]
    assert "To come:   Swap, Start, AwaitOnline, EndSession, Finish" in words
    ended = cloud.progress("drill-7")
    assert f"Ended:     Recovered, {run.output['ended_at'][:10]}" in ended
    assert run.output["account"] in ended


def test_a_recovery_takes_little_longer_than_what_ec2_does_one_after_the_other(backed, slow, cloud):
    """To start, to stop, to detach, to attach and to start again; the volumes are made meanwhile."""
    ec2_s = INSTANCES.starting_s + INSTANCES.stopping_s + VOLUMES.detaching_s + VOLUMES.attaching_s
    ec2_s += INSTANCES.starting_s
    backed.recover()
    [took] = durations(cloud)
    assert VOLUMES.creating_s < took["MakeVolumes"]
    assert ec2_s < sum(took.values()) < 1.1 * ec2_s


def test_a_later_recovery_says_how_long_each_state_took_before(backed, slow, machine, cloud):
    first = backed.recover()
    [took] = durations(cloud)
    assert list(took) == ["Plan", *MOVES]
    assert f"Start {took['Start']:.0f} s" in first.output["took"]
    dry = backed.recover(recovery_id="drill-8", mode="dry-run").output
    assert dry["how_long"].startswith("about ")
    assert f"Start {took['Start']:.0f} s" in dry["how_long"]
    seen = []
    machine.clock.at_next_wait(*[lambda: seen.append(cloud.progress("drill-8"))] * WAITS)
    second = backed.recover(recovery_id="drill-8")
    assert len(durations(cloud)) == 2
    assert re.search(r"^Now: +Start, .*\(median of 1 past recovery: \d+ s\)$", "\n".join(seen), re.MULTILINE)
    assert re.search(r"^Left: +about \d+ min, by the medians", seen[0], re.MULTILINE)
    assert "in brackets the median of past recoveries" in second.output["took"]
    [text] = [text for subject, text in cloud.mails() if subject == "Recovered: drill-8"]
    assert f"Took:        {second.output['took']}" in text


def test_a_recovery_that_goes_on_where_another_was_stopped_says_nothing_of_how_long_one_takes(
    backed, slow, machine, cloud
):
    machine.stop_in("Swap")
    backed.recover()
    machine.stop_in("")
    assert_recovered(backed, backed.recover())
    assert durations(cloud) == []


def test_a_dry_run_and_a_refused_input_leave_no_durations_and_a_dry_run_no_progress(backed, cloud):
    backed.recover(mode="dry-run")
    with pytest.raises(ClientError, match="NoSuchKey"):
        cloud.progress("drill-7")
    refusal = backed.recover(recovery_point="night-9")
    assert "Ended:     Failed" in cloud.progress("drill-7")
    assert refusal.cause in cloud.progress("drill-7")
    assert durations(cloud) == []


def test_a_failure_says_what_was_done_and_why_it_ended(backed, machine, cloud):
    machine.wire.on("ec2:StartInstances", refused("UnauthorizedOperation", 403))
    run = backed.recover()
    [account] = cloud.accounts().values()
    assert re.fullmatch(r"Plan \d+ s, Launch \d+ s, MakeVolumes \d+ s, Stop \d+ s, Swap \d+ s", account["took"])
    assert "Ended:     Failed" in cloud.progress("drill-7")
    assert run.cause in cloud.progress("drill-7")


def test_one_that_was_stopped_says_so_once_it_is_swept(backed, slow, machine, cloud):
    machine.stop_in("Swap")
    run = backed.recover()
    assert "Now:       " in cloud.progress("drill-7")
    machine.sweep_recovery(run)
    [account] = cloud.accounts().values()
    assert account["reason"] in cloud.progress("drill-7")


@pytest.mark.parametrize("fault", [answer_lost, unreachable, dies_before, dies_after, refused("AccessDenied", 403)])
@pytest.mark.parametrize("nth", [1, 5])
def test_progress_that_cannot_be_written_keeps_no_recovery_from_going_on(backed, machine, fault, nth):
    machine.wire.on("s3:PutObject", fault, nth=nth, times=1 if fault in (dies_before, dies_after) else 4)
    run = backed.recover()
    assert_recovered(backed, run)
    assert run.output["untold"] == ""


def test_durations_that_cannot_be_kept_fail_no_recovery(backed, machine, cloud):
    machine.wire.on("dynamodb:PutItem", refused("AccessDeniedException"), nth=3)
    assert_recovered(backed, backed.recover())
    assert durations(cloud) == []


def test_what_is_remembered_of_other_recoveries_is_the_latest(backed, cloud):
    for n in range(25):
        item = {"pk": {"S": "recoveries"}, "sk": {"S": f"took#2026-01-{n + 1:02}T00:00:00+00:00#x"}}
        took = {"Stop": 600.0 if n < 5 else 60.0, **dict.fromkeys(MOVES, 60.0)}
        cloud.dynamodb.put_item(TableName=TABLE, Item={**item, "took": {"S": json.dumps(took)}})
    dry = backed.recover(mode="dry-run").output
    assert dry["how_long"].startswith("about 8 min, by 20 past recoveries of this stack")
