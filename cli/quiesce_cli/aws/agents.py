"""What Systems Manager knows of servers: whether their agent answers."""

from collections.abc import Sequence
from typing import NamedTuple

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce_cli.aws.stack import client

# The filter takes at most this many values (SSM API reference, DescribeInstanceInformation).
FILTER_VALUES = 100
UNKNOWN = {"InvalidInstanceId", "InvalidInstanceInformationFilterValue"}


class Agent(NamedTuple):
    """A server's agent; ``status`` is Systems Manager's word."""

    name: str
    status: str
    version: str

    @property
    def online(self) -> bool:
        """Whether it answers."""
        return self.status == "Online"


def agents(instance_ids: Sequence[str]) -> dict[str, Agent]:
    """Return the agents of these servers, by id; a server without one is missing."""
    found: dict[str, Agent] = {}
    for start in range(0, len(instance_ids), FILTER_VALUES):
        found |= _some(instance_ids[start : start + FILTER_VALUES])
    return found


def _some(instance_ids: Sequence[str]) -> dict[str, Agent]:
    """Ask for several at once; Systems Manager refuses all of them if it does not know one."""
    filters = [{"Key": "InstanceIds", "Values": list(instance_ids)}]
    try:
        with repeatable("ssm:DescribeInstanceInformation"):
            pages = client("ssm").get_paginator("describe_instance_information").paginate(Filters=filters)
            found = [each for page in pages for each in page["InstanceInformationList"]]
    except ClientError as error:
        if code_of(error) not in UNKNOWN:
            raise
        if len(instance_ids) == 1:
            return {}
        return {name: agent for one in instance_ids for name, agent in _some([one]).items()}
    return {
        each["InstanceId"]: Agent(
            each.get("ComputerName", ""), each.get("PingStatus", ""), each.get("AgentVersion", "")
        )
        for each in found
    }
