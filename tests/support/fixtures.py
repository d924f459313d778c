"""pytest fixtures: one sandbox for all tests of a process, and a clean slate for each test."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.executions import follow, wait_for
from sandbox.gateway import Sandbox
from sandbox.servers import Server
from tests.support.deployment import deploy
from tests.support.reverting import request_of

PROJECT = Path(__file__).parents[2]
SWEEP_LOOKS, SWEEP_LOOK_S = 600, 0.2


# Has the sandbox of this process while it runs.
SANDBOX = ExitStack()


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox, started once per process; its state machines do not wait."""
    with SANDBOX:
        yield SANDBOX.enter_context(Sandbox(tmp_path_factory.mktemp("sandbox"), wait_scale=0))


@pytest.fixture
def aws(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The running sandbox without servers, snapshots or faults of an earlier test; stacks and decisions stay.

    The schedules of stacks that are there start nothing by themselves.
    """
    running_sandbox.reset()
    running_sandbox.scheduler.rest()
    yield running_sandbox
    running_sandbox.reset()


@dataclass
class Quiesce:
    """The deployed product, used as an operator does: policies in the bucket, executions from the console."""

    aws: Sandbox
    outputs: dict[str, str]

    def put_policy(self, name: str, text: str) -> None:
        """Upload a policy file."""
        s3 = self.aws.client("s3")
        s3.put_object(Bucket=self.outputs["BucketName"], Key=f"policies/{name}.yaml", Body=text.encode())

    def put_scripts(self, policy: str, owner: str = "tests") -> None:
        """Upload an owner's three scripts of a policy."""
        for stage in ("before", "after", "complete"):
            place = {"Bucket": self.outputs["BucketName"], "Key": f"scripts/{owner}/{stage}_{policy}.ps1"}
            self.aws.client("s3").put_object(**place, Body=b"# a script of the owner\n")

    def start(self, request: dict[str, Any], **more: str) -> str:
        """Start a backup with this input, and return the execution's ARN."""
        states, machine = self.aws.client("stepfunctions"), self.outputs["BackupMachineArn"]
        arn: str = states.start_execution(stateMachineArn=machine, input=json.dumps(request), **more)["executionArn"]
        return arn

    def start_policy(self, request: dict[str, Any], **more: str) -> str:
        """Start a policy with this input, and return the execution's ARN."""
        states, machine = self.aws.client("stepfunctions"), self.outputs["PolicyMachineArn"]
        arn: str = states.start_execution(stateMachineArn=machine, input=json.dumps(request), **more)["executionArn"]
        return arn

    def back_up(self, server: Server, **settings: Any) -> dict[str, Any]:
        """Back up a server by a policy in the input; return DescribeExecution's answer at the end."""
        target = {"instance_id": server.instance_id}
        policy = {
            "name": "files-nightly",
            "owner": "tests",
            "targets": [target],
            "defaults": {"vss": "off"},
            **settings,
        }
        return wait_for(self.aws, self.start({"policy": policy, "instance_id": server.instance_id}))

    def recover(self, record: dict[str, Any], **request: Any) -> dict[str, Any]:
        """Recover a server from a run's record; return DescribeExecution's answer at the end."""
        return wait_for(self.aws, self.start_recovery(record, **request))

    def start_recovery(self, record: dict[str, Any], **request: Any) -> str:
        """Start a recovery from a run's record, and return the execution's ARN."""
        image_id = self.aws.servers.add_image("windows-to-recover")
        known = {"recovery_point": record["run_id"], "image_id": image_id, "beside_the_old_one": True}
        states, machine = self.aws.client("stepfunctions"), self.outputs["RecoverMachineArn"]
        arn: str = states.start_execution(stateMachineArn=machine, input=json.dumps({**known, **request}))[
            "executionArn"
        ]
        return arn

    def retain(self, **data: Any) -> dict[str, Any]:
        """Run an execution of the retention machine; return DescribeExecution's answer at the end."""
        states, machine = self.aws.client("stepfunctions"), self.outputs["RetentionMachineArn"]
        return wait_for(
            self.aws, states.start_execution(stateMachineArn=machine, input=json.dumps(data))["executionArn"]
        )

    def examine(self, **data: Any) -> dict[str, Any]:
        """Run an execution of the doctor machine; return DescribeExecution's answer at the end."""
        states, machine = self.aws.client("stepfunctions"), self.outputs["DoctorMachineArn"]
        return wait_for(
            self.aws, states.start_execution(stateMachineArn=machine, input=json.dumps(data))["executionArn"]
        )

    def build(self, record: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Build the volumes of a run's record as of their shadow copies; return how that ended."""
        return wait_for(self.aws, self.start_build(record, **changes))

    def start_build(self, record: dict[str, Any], **changes: Any) -> str:
        """Start a build from a run's record, and return the execution's ARN."""
        states, data = self.aws.client("stepfunctions"), {"request": request_of(record, **changes)}
        machine = self.function_name("RevertMachine")
        arn: str = states.start_execution(stateMachineArn=machine, input=json.dumps(data))["executionArn"]
        return arn

    def client_of(self, resource: str, service: str) -> Any:
        """Return a client with the role of one of the template's functions, such as `ReportFunction`."""
        return self.aws.client(service, function=self.function_name(resource))

    def function_name(self, resource: str) -> str:
        """Return the name of one of the template's functions."""
        describe = self.aws.client("cloudformation").describe_stack_resource
        detail = describe(StackName="quiesce", LogicalResourceId=resource)["StackResourceDetail"]
        return str(detail["PhysicalResourceId"])

    def record_of(self, server: Server, execution_arn: str) -> dict[str, Any]:
        """The record of a run that is swept, once sweep has done the last that it does, and the server is free."""
        s3, run_id = self.aws.client("s3"), execution_arn.rpartition(":")[2]
        place = {"Bucket": self.outputs["BucketName"], "Key": f"records/{server.instance_id}/{run_id}.json"}
        s3.get_waiter("object_exists").wait(**place, WaiterConfig={"Delay": SWEEP_LOOK_S, "MaxAttempts": SWEEP_LOOKS})
        self._wait_until_free(server)
        record: dict[str, Any] = json.loads(s3.get_object(**place)["Body"].read())
        return record

    def _wait_until_free(self, server: Server) -> None:
        key = {"pk": {"S": server.instance_id}, "sk": {"S": "lease"}}
        for _ in range(SWEEP_LOOKS):
            held = self.aws.client("dynamodb").get_item(
                TableName=self.outputs["TableName"], Key=key, ConsistentRead=True
            )
            if "Item" not in held:
                return
            time.sleep(SWEEP_LOOK_S)
        raise AssertionError(f"the lease of {server.instance_id} is not released: {held['Item']}")

    def entered(self, execution_arn: str) -> list[str]:
        """Return the states that an execution entered."""
        return [name for name, _ in follow(self.aws, execution_arn)]


@pytest.fixture
def set_aside(aws: Sandbox) -> Iterator[None]:
    """Forget this test's IAM decisions: what a test does in a role does not show what the role needs."""
    kept = len(aws.decisions.decisions)
    yield
    del aws.decisions.decisions[kept:]


@pytest.fixture(scope="session")
def deployed(running_sandbox: Sandbox) -> dict[str, str]:
    """The outputs of the real template, deployed once, with the role for servers."""
    return deploy(running_sandbox, PROJECT, parameters={"ServerProfile": "yes"})


@pytest.fixture
def quiesce(aws: Sandbox, deployed: dict[str, str]) -> Quiesce:
    """The deployed product on a clean slate of servers."""
    return Quiesce(aws, deployed)
