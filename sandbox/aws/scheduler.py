"""EventBridge Scheduler behind MiniStack's front: its API over HTTP, permissions, and schedules from CloudFormation.

It replaces MiniStack's own Scheduler, which takes any expression, reads every cron as UTC and lists one page.
"""

import json
import logging
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners

from sandbox.aws import iam
from sandbox.aws.faults import Answer, Handler
from sandbox.aws.scheduling import CHANGES, Scheduler, answer, read_request

TICK_S = 1.0
log = logging.getLogger(__name__)


def install(handlers: dict[str, Handler], clock: Callable[[], float], client: Callable[[str], Any]) -> Scheduler:
    """Put the service into MiniStack; it begins to make starts with `start_ticking`."""
    service = Scheduler(clock, deliverer(client), burier(client), f"{get_region()}:{get_account_id()}")
    handlers["scheduler"] = handler(service)
    _install_schedules(service)
    return service


def handler(service: Scheduler) -> Handler:
    """The handler of Scheduler's requests."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        plain = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
        url = f"{path}?{urlencode(plain)}"
        refused = iam.refuse("scheduler", needed(*read_request(method, url, body)), headers, query)
        return refused or answer(service, method, url, body)

    return handle


def needed(operation: str, given: dict[str, Any]) -> list[iam.Permission]:
    """The permissions that a call needs; the role must have all of them.

    Source: AWS, service authorization reference for Scheduler: the schedule, of which ListSchedules names none; who
    creates or updates one passes its role.
    """
    where = f"{get_region()}:{get_account_id()}"
    name = f"{given.get('GroupName', 'default')}/{given.get('Name')}"
    resource = "*" if operation == "ListSchedules" else f"arn:aws:scheduler:{where}:schedule/{name}"
    found: list[iam.Permission] = [(f"scheduler:{operation}", resource, {})]
    if operation in CHANGES:
        to = {"iam:PassedToService": "scheduler.amazonaws.com"}
        found.append(("iam:PassRole", given.get("Target", {}).get("RoleArn", "*"), to))
    return found


def deliverer(client: Callable[[str], Any]) -> Callable[[dict[str, Any], str], None]:
    """Return what starts targets: state machines, and functions without waiting for them."""

    def deliver(target: dict[str, Any], text: str) -> None:
        arn = target["Arn"]
        if arn.startswith("arn:aws:states:"):
            client("stepfunctions").start_execution(stateMachineArn=arn, input=text)
        elif arn.startswith("arn:aws:lambda:"):
            client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=text.encode())
        else:
            raise ValueError(f"the sandbox's Scheduler does not start {arn}")

    return deliver


def burier(client: Callable[[str], Any]) -> Callable[[str, str, dict[str, str]], None]:
    """Return what puts a start that failed into its queue (EventBridge Scheduler user guide, dead-letter queues).

    Where the queue is gone, as while a stack is deleted, the start is lost.
    """

    def bury(queue: str, text: str, told: dict[str, str]) -> None:
        sqs = client("sqs")
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}
        try:
            url = sqs.get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"]
            sqs.send_message(QueueUrl=url, MessageBody=text, MessageAttributes=attributes)
        except sqs.exceptions.QueueDoesNotExist:
            log.warning("a start that failed is lost, its queue is gone: %s", queue)

    return bury


def _install_schedules(service: Scheduler) -> None:
    """Let CloudFormation make schedules and groups; Ref is the name.

    Source: CloudFormation user guide, AWS::Scheduler::Schedule and AWS::Scheduler::ScheduleGroup.
    """

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        name = properties.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=64)
        made = service.call("CreateSchedule", {**_typed(properties), "Name": name})
        return name, {"Arn": made["ScheduleArn"]}

    def update(name: str, _old: dict[str, Any], new: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, Any]]:
        made = service.call("UpdateSchedule", {**_typed(new), "Name": name})
        return name, {"Arn": made["ScheduleArn"]}

    def delete(name: str, properties: dict[str, Any]) -> None:
        service.delete(properties.get("GroupName", "default"), name)

    def create_group(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        name = properties.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=64)
        service.make_group(name)
        return name, {"Arn": f"arn:aws:scheduler:{get_region()}:{get_account_id()}:schedule-group/{name}"}

    def delete_group(name: str, _properties: dict[str, Any]) -> None:
        service.delete_group(name)

    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::Scheduler::Schedule"] = {"create": create, "update": update, "delete": delete}
    handlers["AWS::Scheduler::ScheduleGroup"] = {"create": create_group, "delete": delete_group}


def _typed(properties: dict[str, Any]) -> dict[str, Any]:
    """Return a schedule's properties with the numbers that the template's parameters may have made texts of."""
    given = json.loads(json.dumps(properties))
    given.setdefault("FlexibleTimeWindow", {"Mode": "OFF"})  # as SAM does
    retry = given["Target"].get("RetryPolicy", {})
    retry.update({name: int(value) for name, value in retry.items()})
    return {name: value for name, value in given.items() if name != "Name"}


def tick(service: Scheduler, stop: threading.Event) -> None:
    """Make the starts that are due, until told to stop."""
    while not stop.wait(TICK_S):
        service.advance()


def start_ticking(service: Scheduler) -> Callable[[], None]:
    """Make the starts that are due from now on; return what ends that."""
    stop = threading.Event()
    thread = threading.Thread(target=tick, args=(service, stop), daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(TICK_S * 2)

    return end
