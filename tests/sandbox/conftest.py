"""A client that never retries, a server, and the probe: a small stack whose function does what its event says."""

import json
from pathlib import Path

import pytest

from tests.support.deployment import deploy


@pytest.fixture
def ec2(aws):
    return aws.client("ec2", retries={"total_max_attempts": 1})


@pytest.fixture
def server(aws):
    return aws.servers.add("files", application=False)


class Probe:
    def __init__(self, aws, outputs):
        self.aws, self.outputs = aws, outputs

    def invoke(self, *, output="FunctionName", **event):
        answer = self.aws.client("lambda").invoke(FunctionName=self.outputs[output], Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def call(self, service, method, **parameters):
        return self.invoke(call=[service, method, parameters])


@pytest.fixture(scope="session")
def probe_outputs(running_sandbox):
    return deploy(running_sandbox, Path(__file__).parent / "probe", "probe")


@pytest.fixture
def probe(aws, probe_outputs):
    aws.decisions.decisions.clear()
    return Probe(aws, probe_outputs)
