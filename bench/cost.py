"""Reckon what backups and recoveries cost, from counted calls and states: Step Functions, Lambda, DynamoDB, S3, EBS.

docs/operate/performance.md shows the results. Nothing is timed: what a call, a start and a command take is assumed.

PYTHONPATH=src python -m bench.cost
"""

from collections.abc import Iterable, Iterator, Mapping
from math import ceil

from bench.calls import Count, recorded
from quiesce.backup.awaiting import expected_wait_s, growing_wait_s
from quiesce.prices import GET_DOLLARS, LIST_DOLLARS, PUT_DOLLARS
from tests.support.project import resources, template

# us-east-1, as of 30 November 2026. AWS's page of Step Functions (a retry counts as a transition).
TRANSITION = 0.025 / 1000
# cloudchipr.com and AWS's own examples: Arm, the first 7.5 billion GB-seconds of a month. Since 1 August 2025 Lambda
# bills the start, too (AWS Compute Blog, "AWS Lambda standardizes billing for INIT Phase").
GB_SECOND, REQUEST = 0.0000133334, 0.20 / 1_000_000
# airbyte.com, "DynamoDB pricing", July 2025: on demand, after November 2024. A unit writes 1 KB, or reads 4 KB; a
# transaction takes two for each (AWS's page of DynamoDB).
WRITE, READ = 0.625 / 1_000_000, 0.125 / 1_000_000
# c3x.dev and cloudkaramchari.com: AWS's page fills its prices in by a script (docs/unconfirmed.md).
S3 = {"s3:PutObject": 0.005 / 1000, "s3:ListObjectsV2": 0.005 / 1000, "s3:GetObject": 0.0004 / 1000}
EBS = {"ebs:ListSnapshotBlocks": LIST_DOLLARS, "ebs:GetSnapshotBlock": GET_DOLLARS, "ebs:PutSnapshotBlock": PUT_DOLLARS}
# Assumed. A call of AWS; a start, whose work takes as long as a whole core needs, divided by the share of one that
# Lambda gives for the memory (a core for 1,769 MB); a command's way through Systems Manager; a record's or plan's size.
CALL_S, START_CORE_S, CORE_MB, COMMAND_S, ITEM_KB = 0.05, 0.8, 1769, 2.0, 12
# The run that is reckoned: how long before takes, and VSS's create.
BEFORE_S, CREATE_S = 2.0, 5.0
GOAL_DOLLARS, WAITS_S = 0.50, (60, 300, 3600)
# Units of DynamoDB for each write: an item with a record or plan, and small ones.
UNITS = {
    "dynamodb:TransactWriteItems": 2 * (ITEM_KB + 4),
    "dynamodb:UpdateItem": 1,
    "dynamodb:PutItem": 2,
    "dynamodb:DeleteItem": 1,
}
# What a function for events would have, as it only waits.
EVENTS_MB = 512
# What is no backup has one function, called for each of its states. A recovery that reverts starts a revert.
FUNCTIONS = {"recovery": "Recover", "recovery that reverts": "Recover", "revert": "Revert"}
SERVICES = ("Step Functions", "Lambda", "DynamoDB", "S3", "EBS")


def memory_gb(state: str) -> float:
    """Return the memory of the function that a state of the backup machine calls."""
    properties = resources("AWS::Serverless::Function").get(f"{state}Function", {}).get("Properties", {})
    return float(properties.get("MemorySize", template()["Globals"]["Function"]["MemorySize"])) / 1024


def lambda_dollars(state: str, calls: Mapping[str, int], waits_s: float = 0.0) -> float:
    """Return what one call of a function costs that starts anew, sends calls, and waits for so many seconds.

    Each ``lambda:Invoke`` among its calls is a request more. Lambda charges for the start of the function that it warms
    up once, so that start is reckoned with that function.
    """
    memory = memory_gb(state)
    start_s = START_CORE_S / min(1.0, memory * 1024 / CORE_MB)
    seconds = start_s + CALL_S * sum(calls.values()) + COMMAND_S * calls.get("ssm:SendCommand", 0) + waits_s
    return REQUEST * (1 + calls.get("lambda:Invoke", 0)) + GB_SECOND * memory * seconds


def table_dollars(calls: Mapping[str, int]) -> float:
    """Return what DynamoDB charges for calls, besides the verdict that Report keeps by an update."""
    written = sum(UNITS.get(call, 0) * number for call, number in calls.items())
    return WRITE * written + READ * ceil(ITEM_KB / 4) * calls.get("dynamodb:GetItem", 0)


def priced(calls: Mapping[str, int], prices: Mapping[str, float]) -> float:
    """Return what calls cost that have a price each."""
    return sum(prices.get(call, 0.0) * number for call, number in calls.items())


def all_calls(kind: str, counted: Count) -> list[Mapping[str, int]]:
    """Return the calls of a run by state; those of a recovery or revert that found nothing yet count, too."""
    return [*counted.calls.values(), counted.evidence, *([counted.polls] if kind in FUNCTIONS else [])]


def transitions(counted: Count) -> int:
    """Return how many transitions Step Functions bills, a retry and a state of a started execution for one each."""
    return len(counted.states) + counted.retries + counted.nested


def parts(kind: str, counted: Count) -> dict[str, float]:
    """Return what a run costs by service; a backup without the wait for its snapshots."""
    every, function = all_calls(kind, counted), FUNCTIONS.get(kind)
    return {
        "Step Functions": TRANSITION * transitions(counted),
        "Lambda": _one_function(kind, counted) if function else _functions(kind, counted),
        "DynamoDB": (0.0 if function else WRITE * ITEM_KB) + sum(map(table_dollars, every)),
        "S3": sum(priced(calls, S3) for calls in every),
        "EBS": sum(priced(calls, EBS) for calls in every),
    }


def _functions(kind: str, counted: Count) -> float:
    """Return what the functions of a backup cost, each started anew, as those of a nightly run are."""
    held_s = {"Freeze": BEFORE_S * ("scripts" in kind) + CREATE_S * ("VSS" in kind)}
    calls = {**counted.calls, "Verify": counted.evidence}
    functions = [state for state in counted.states if f"{state}Function" in resources("AWS::Serverless::Function")]
    return sum(lambda_dollars(state, calls.get(state, {}), held_s.get(state, 0.0)) for state in functions)


def _one_function(kind: str, counted: Count) -> float:
    """Return what the one function of a recovery or revert costs, which starts once, and that of a started revert."""
    started, sent, requests = 0.0, sum(sum(calls.values()) for calls in all_calls(kind, counted)), transitions(counted)
    if counted.nested:
        revert = recorded()["revert"]
        started = _one_function("revert", revert)
        sent -= sum(sum(calls.values()) for calls in all_calls("revert", revert))
        requests -= transitions(revert)
    memory = memory_gb(FUNCTIONS[kind])
    seconds = START_CORE_S / min(1.0, memory * 1024 / CORE_MB) + CALL_S * sent
    return started + REQUEST * requests + GB_SECOND * memory * seconds


def backups(counts: Mapping[str, Count]) -> dict[str, Count]:
    """Return the counts of backups alone."""
    return {kind: each for kind, each in counts.items() if "AwaitSnapshots" in each.states}


def looks(wait_s: float, expected_s: int | None = None) -> int:
    """Return how many looks find the snapshots pending, if they take so long, and the last run's took so long."""
    elapsed, found = 0.0, 0
    while elapsed < wait_s:
        elapsed += growing_wait_s(elapsed) if expected_s is None else expected_wait_s(elapsed, expected_s)
        found += 1
    return found


def poll_dollars(transitions: int) -> float:
    """Return what a look costs that finds nothing: AwaitSnapshots, warm, with one call and seldom a renewed lease."""
    return transitions * TRANSITION + REQUEST + GB_SECOND * memory_gb("AwaitSnapshots") * 2 * CALL_S


def event_dollars(volumes: int) -> float:
    """Return what the end of the wait costs if EBS's events tell it.

    A state that waits for a token, which a function takes out of the table at each snapshot's event: a write to keep
    it, a read and a write for each event. EventBridge charges nothing for AWS's own events (factualminds.com, June
    2026). As events are best effort, one look is added, in a state with a time limit.
    """
    start_s = START_CORE_S / (EVENTS_MB / CORE_MB) / volumes
    function = REQUEST + GB_SECOND * EVENTS_MB / 1024 * (3 * CALL_S + start_s)
    return 2 * TRANSITION + WRITE + volumes * (function + READ + WRITE) + poll_dollars(1)


def cells(dollars: Iterable[float]) -> str:
    """Return amounts for 1,000 runs, in dollars, as cells of a table."""
    return " | ".join(f"{1000 * amount:.2f}" for amount in dollars)


def runs(counts: Mapping[str, Count]) -> Iterator[str]:
    """Yield the table of what runs cost by service, without the wait for snapshots."""
    yield f"| For 1,000, $ | {' | '.join(SERVICES)} | all | goal |"
    yield "|---" * (len(SERVICES) + 3) + "|"
    for kind, counted in counts.items():
        by, goal = parts(kind, counted), f"{GOAL_DOLLARS:.2f}" if kind in backups(counts) else ""
        yield f"| {kind} | {cells([*(by[each] for each in SERVICES), sum(by.values())])} | {goal} |"


def with_waits(counts: Mapping[str, Count]) -> Iterator[str]:
    """Yield the table of what backups cost with the wait for snapshots."""
    number = {wait: looks(wait, wait) for wait in WAITS_S}
    head = " | ".join(f"{wait} s: {found} look{'s'[: found - 1]}" for wait, found in number.items())
    yield f"| For 1,000 with the wait, $ | {head} |"
    yield "|---" * (len(WAITS_S) + 1) + "|"
    for kind, counted in backups(counts).items():
        alone = sum(parts(kind, counted).values())
        yield f"| {kind} | {cells(alone + READ + found * poll_dollars(3) for found in number.values())} |"


def waiting() -> Iterator[str]:
    """Yield the table of polls against events: a month of daily runs with three volumes each."""
    yield "| A month of daily runs, $ | the wait | growing polls | as the last run | a fifth longer | events |"
    yield "|---" * 6 + "|"
    for servers in (1, 100, 10_000):
        for wait in (60, 300, 3600):
            by_last = [looks(takes, wait) * poll_dollars(3) + READ for takes in (wait, 1.2 * wait)]
            amounts = looks(wait) * poll_dollars(3), *by_last, event_dollars(3)
            months = " | ".join(f"{30 * servers * amount:,.3f}" for amount in amounts)
            yield f"| servers: {servers:,} | {wait} s | {months} |"


def report() -> str:
    """Return the tables of the page."""
    counts = recorded()
    return "\n".join([*runs(counts), "", *with_waits(counts), "", *waiting()])


if __name__ == "__main__":
    print(report())
