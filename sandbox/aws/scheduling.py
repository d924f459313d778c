"""EventBridge Scheduler, without a socket: its API with the limits of AWS's own model, and the starts that are due.

Expressions and zones are read by the product's code, which takes what AWS documents and nothing else: an expression
that AWS may read otherwise is refused here. Used behind MiniStack's front by `scheduler.py`, and in-process by tests.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, takewhile
from threading import RLock
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.model import OperationModel
from botocore.validate import ParamValidator

from quiesce.policy.cron import read_cron
from quiesce.policy.next_runs import cron_runs, rate_runs
from quiesce.policy.zones import zone_of

# Scheduler User Guide, quotas.
PAGE, MAX_INPUT_BYTES = 100, 256 * 1024
# Read in moto: a cron's start may be so old. What AWS does is not known, so an older one is refused for all.
OLDEST_START_S = 300
UNITS_S = {"minute": 60, "hour": 3600, "day": 86400}
DEFAULTS = {"ScheduleExpressionTimezone": "UTC", "State": "ENABLED", "ActionAfterCompletion": "NONE"}
CHANGES = {"CreateSchedule", "UpdateSchedule"}
ROUTES = {
    ("POST", "schedules"): "CreateSchedule",
    ("PUT", "schedules"): "UpdateSchedule",
    ("GET", "schedules"): "GetSchedule",
    ("DELETE", "schedules"): "DeleteSchedule",
}
STATUS = {"ValidationException": 400, "ConflictException": 409, "ResourceNotFoundException": 404}


class SchedulerError(Exception):
    """A refusal of Scheduler, by AWS's code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass
class Stored:
    """A schedule: what it was given, up to when its starts were made, in seconds since 1970, and `Scheduler.rest`."""

    given: dict[str, Any]
    made_s: float
    fired_s: float
    rests: bool = False


@dataclass
class Scheduler:
    """The service.

    `clock` is in seconds since 1970; `deliver` gets a target and its input, and raises what keeps it from starting.
    """

    clock: Callable[[], float]
    deliver: Callable[[dict[str, Any], str], None]
    bury: Callable[[str, str, dict[str, str]], None] = lambda _queue, _text, _told: None
    """Puts a start that failed into a queue: its ARN, the target's input, and what the message's attributes tell."""
    where: str = "eu-central-1:123456789012"
    groups: set[str] = field(default_factory=lambda: {"default"})
    schedules: dict[tuple[str, str], Stored] = field(default_factory=dict)
    dead_letters: list[tuple[str, str]] = field(default_factory=list)
    """The queue and the input of each start that failed."""
    lock: Any = field(default_factory=RLock)

    def call(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Answer an API call.

        Raises:
            SchedulerError: Scheduler refuses the call; nothing was changed.
        """
        calls = {
            "CreateSchedule": self._create,
            "UpdateSchedule": self._update,
            "GetSchedule": self._get,
            "DeleteSchedule": self._delete,
            "ListSchedules": self._list,
        }
        if operation not in calls:
            raise SchedulerError("ValidationException", f"the sandbox has no scheduler:{operation}")
        shape: Any = _model(operation).input_shape
        report = ParamValidator().validate(given, shape)
        problems = [report.generate_report()] if report.has_errors() else list(_beyond(shape, given, operation))
        if unknown := sorted(given.keys() - set(shape.members)):
            problems.append(f"there is no field {unknown}")
        if problems:
            raise SchedulerError("ValidationException", "; ".join(problems))
        with self.lock:
            return calls[operation](given)

    def reset(self) -> None:
        """Forget the dead letters; schedules are a stack's."""
        self.dead_letters.clear()

    def rest(self) -> None:
        """Let no schedule that is there come due by itself: where a clock is moved on by days, each would many times.

        ``fire`` starts it as before; an update ends its rest.
        """
        with self.lock:
            for stored in self.schedules.values():
                stored.rests = True

    def make_group(self, name: str) -> None:
        """Make a group, as CloudFormation does."""
        self.groups.add(name)

    def delete_group(self, name: str) -> None:
        """Delete a group with all of its schedules, as CloudFormation does."""
        with self.lock:
            self.groups.discard(name)
            self.schedules = {key: stored for key, stored in self.schedules.items() if key[0] != name}

    def delete(self, group: str, name: str) -> None:
        """Delete a schedule if it is there, as CloudFormation does."""
        with self.lock:
            self.schedules.pop((group, name), None)

    def _create(self, given: dict[str, Any]) -> dict[str, Any]:
        key = self._key(given)
        if key[0] not in self.groups:
            raise SchedulerError("ResourceNotFoundException", f"Schedule group {key[0]} does not exist.")
        if key in self.schedules:
            raise SchedulerError("ConflictException", f"Schedule {key[1]} already exists.")
        return self._keep(key, given)

    def _update(self, given: dict[str, Any]) -> dict[str, Any]:
        """API reference: it replaces all; what is left out has its default again."""
        self._found(given)
        return self._keep(self._key(given), given)

    def _keep(self, key: tuple[str, str], given: dict[str, Any]) -> dict[str, Any]:
        now_s = self.clock()
        check_definition(given, now_s)
        kept = {name: value for name, value in given.items() if name not in ("ClientToken", "Name", "GroupName")}
        self.schedules[key] = Stored({**DEFAULTS, **kept}, now_s, now_s)
        # User Guide, "Schedule types": a rate without a start calls its target at once.
        if given["ScheduleExpression"].startswith("rate(") and "StartDate" not in given:
            self.schedules[key].fired_s = now_s - 1
        return {"ScheduleArn": self._arn(key)}

    def _get(self, given: dict[str, Any]) -> dict[str, Any]:
        stored, key = self._found(given), self._key(given)
        about = {"Arn": self._arn(key), "GroupName": key[0], "Name": key[1], "CreationDate": stored.made_s}
        return {**stored.given, **about, "LastModificationDate": stored.made_s}

    def _delete(self, given: dict[str, Any]) -> dict[str, Any]:
        self._found(given)
        del self.schedules[self._key(given)]
        return {}

    def _list(self, given: dict[str, Any]) -> dict[str, Any]:
        """API reference: a page has at most 100 schedules, the next one is asked for by its token."""
        group, prefix = given.get("GroupName"), given.get("NamePrefix", "")
        found = [key for key in sorted(self.schedules) if group in (None, key[0]) and key[1].startswith(prefix)]
        first, size = int(given.get("NextToken", "0")), int(given.get("MaxResults", PAGE))
        page = [
            {"Arn": self._arn(key), "GroupName": key[0], "Name": key[1], "State": self.schedules[key].given["State"]}
            for key in found[first : first + size]
        ]
        more = {"NextToken": str(first + size)} if first + size < len(found) else {}
        return {"Schedules": page, **more}

    def _found(self, given: dict[str, Any]) -> Stored:
        key = self._key(given)
        if key not in self.schedules:
            raise SchedulerError("ResourceNotFoundException", f"Schedule {key[1]} does not exist.")
        return self.schedules[key]

    def _key(self, given: dict[str, Any]) -> tuple[str, str]:
        return given.get("GroupName", "default"), given["Name"]

    def _arn(self, key: tuple[str, str]) -> str:
        return f"arn:aws:scheduler:{self.where}:schedule/{key[0]}/{key[1]}"

    def advance(self) -> None:
        """Make every start that has become due, each once and in the order of their times."""
        with self.lock:
            now_s = self.clock()
            due = [
                (at, key)
                for key, stored in self.schedules.items()
                if stored.given["State"] == "ENABLED" and not stored.rests
                for at in takewhile(
                    lambda at: at.timestamp() <= now_s, runs_of(stored.given, stored.fired_s, stored.made_s)
                )
            ]
            for stored in self.schedules.values():
                stored.fired_s = max(stored.fired_s, now_s)
        for at, key in sorted(due):
            self.fire(*key, at)

    def fire(self, group: str, name: str, at: datetime) -> None:
        """Start a schedule's target for a time, as if it had become due; a start that fails is a dead letter."""
        with self.lock:
            stored = self.schedules.get((group, name))
        if stored is None:
            return  # deleted since it became due
        given = stored.given
        target = given["Target"]
        text = target.get("Input", "{}").replace("<aws.scheduler.scheduled-time>", f"{at:%Y-%m-%dT%H:%M:%SZ}")
        try:
            self.deliver(target, text)
        except Exception as error:  # noqa: BLE001 - whatever a target answers is no error of Scheduler
            queue = target.get("DeadLetterConfig", {}).get("Arn", "")
            self.dead_letters.append((queue, f"{text} {error}"))
            if queue:
                code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
                told = {"ERROR_CODE": code, "ERROR_MESSAGE": f"{error}", "SCHEDULED_TIME": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
                self.bury(queue, text, told)
        if given["ActionAfterCompletion"] == "DELETE" and not list(islice(runs_of(given, at.timestamp()), 1)):
            self.delete(group, name)


def runs_of(given: dict[str, Any], after_s: float, made_s: float = 0) -> Iterator[datetime]:
    """Yield the times at which Scheduler starts a schedule after a moment; times that a clock skips are not made up."""
    expression, after = given["ScheduleExpression"], datetime.fromtimestamp(after_s, UTC)
    zone = zone_of(given.get("ScheduleExpressionTimezone", "UTC"))
    first, last = _seconds(given.get("StartDate")), _seconds(given.get("EndDate"))
    kind, inner = _inside(expression)
    if kind == "at":
        at = datetime.fromisoformat(inner).replace(tzinfo=zone).astimezone(UTC)
        return iter([at] if at > after else [])
    if kind == "rate":
        start = datetime.fromtimestamp(made_s if first is None else first, UTC)
        found = rate_runs(_interval(inner), start, after)
    else:
        found = (run for run in cron_runs(read_cron(inner), zone, after) if not run.moved)
    until = takewhile(lambda run: last is None or run.at.timestamp() <= last, found)
    return (run.at for run in until if first is None or run.at.timestamp() >= first)


def check_definition(given: dict[str, Any], now_s: float) -> None:
    """Refuse what AWS refuses, and what it is not known to take.

    Raises:
        SchedulerError: ValidationException.
    """
    try:
        kind, inner = _inside(given["ScheduleExpression"])
        zone = zone_of(given.get("ScheduleExpressionTimezone", "UTC"))
        if kind == "cron":
            read_cron(inner)
        elif kind == "rate":
            _interval(inner)
        else:
            _check_time(datetime.fromisoformat(inner).replace(tzinfo=zone), now_s)
        _check_window(given["FlexibleTimeWindow"])
        _check_target(given["Target"])
        _check_dates(kind, _seconds(given.get("StartDate")), _seconds(given.get("EndDate")), now_s)
    except ValueError as error:
        raise SchedulerError("ValidationException", f"Invalid Schedule: {error}") from error


def _check_time(at: datetime, now_s: float) -> None:
    if at.timestamp() <= now_s:
        raise ValueError("the time of at() is past")


def _check_window(window: dict[str, Any]) -> None:
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        raise ValueError("MaximumWindowInMinutes belongs to FLEXIBLE, and FLEXIBLE to it")


def _check_target(target: dict[str, Any]) -> None:
    text = target.get("Input", "{}")
    if len(text.encode()) > MAX_INPUT_BYTES:
        raise ValueError("Input is too large")
    json.loads(text)


def _check_dates(kind: str, first: float | None, last: float | None, now_s: float) -> None:
    if kind != "at" and first is not None and first < now_s - OLDEST_START_S:
        raise ValueError("StartDate is too old")
    if last is not None and last < max(now_s, first or 0):
        raise ValueError("EndDate is past, or before StartDate")


def _inside(expression: str) -> tuple[str, str]:
    match = re.fullmatch(r"(cron|rate|at)\((.*)\)", expression)
    if not match:
        raise ValueError(f"{expression!r} is none of cron(...), rate(...) and at(...)")
    return match[1], match[2]


def _interval(inner: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]*) (minute|hour|day)(s?)", inner)
    if not match or (match[1] == "1") == bool(match[3]):
        raise ValueError(f"rate({inner}): a positive number, and minute, hour or day, plural but for 1")
    return timedelta(seconds=int(match[1]) * UNITS_S[match[2]])


def _seconds(given: Any) -> float | None:
    return given.timestamp() if isinstance(given, datetime) else given


def _beyond(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Say which values go beyond the bounds of AWS's own model, of which botocore checks few."""
    if shape.type_name == "structure":
        for name in shape.members.keys() & value.keys():
            yield from _beyond(shape.members[name], value[name], f"{path}.{name}")
        return
    bounds = shape.metadata
    size = value if shape.type_name == "integer" else len(value) if isinstance(value, str | list) else 0
    if not bounds.get("min", size) <= size <= bounds.get("max", size):
        yield f"{path} is not from {bounds.get('min')} to {bounds.get('max')}"
    if shape.type_name == "string" and not re.match(bounds.get("pattern", ""), value):
        yield f"{path} does not match {bounds['pattern']}"
    if bounds.get("enum") and value not in bounds["enum"]:
        yield f"{path} is none of {bounds['enum']}"


@cache
def _model(operation: str) -> OperationModel:
    return botocore.session.get_session().get_service_model("scheduler").operation_model(operation)


def read_request(method: str, url: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the operation of a request of the REST protocol, and its parameters."""
    parts = urlsplit(url)
    collection, _, name = parts.path.strip("/").partition("/")
    operation = ROUTES.get((method, collection), "") if name else "ListSchedules"
    given = {**json.loads(body or b"{}")}
    query = dict(parse_qsl(parts.query))
    if not operation or collection != "schedules":
        return f"{method} {parts.path}", given
    shape: Any = _model(operation).input_shape
    for field_name, inner in shape.members.items():
        if inner.serialization.get("location") == "uri":
            given[field_name] = unquote(name)
        elif (wire := inner.serialization.get("name", field_name)) in query:
            given[field_name] = int(query[wire]) if inner.type_name == "integer" else query[wire]
    return operation, given


def answer(service: Scheduler, method: str, url: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Answer a request: HTTP status, headers and body."""
    headers = {"Content-Type": "application/json"}
    try:
        return 200, headers, json.dumps(service.call(*read_request(method, url, body))).encode()
    except SchedulerError as error:
        content = json.dumps({"Message": error.message}).encode()
        return STATUS[error.code], {**headers, "x-amzn-ErrorType": error.code}, content


def respond(service: Scheduler, request: AWSPreparedRequest) -> AWSResponse:
    """Answer a request as botocore's event `before-send.scheduler` hands it over, instead of the network."""
    body = request.body or b""
    status, headers, content = answer(
        service, request.method, request.url, body if isinstance(body, bytes) else body.encode()
    )
    response = AWSResponse(request.url, status, headers, None)
    response._content = content
    return response
