#!/usr/bin/env bash
# moto 5.2.5, EC2 and Step Functions: what a mock held stays in memory after its end, for as long as the process lives.
#
# `Subnet._base_avail_ip_iterator` is decorated with `functools.cache`, whose key is the subnet itself; a subnet knows
# its EC2 backend, and a backend all of its volumes and snapshots. Each execution of a state machine puts its threads
# into a list that nothing empties, and a thread knows its execution.
# Expected: memory is free again once a mock has ended, since nothing can reach its state any more.
# Seen: each mock in which EC2 was asked anything is still there, and so is each execution's thread. A test process with
# thousands of mocks grows without end; emptying the cache and the list after each mock is a part of the remedy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[ec2,stepfunctions]==5.2.5' boto3
AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-central-1 "$folder/venv/bin/python" - <<'PYTHON'
import gc
import json
import time
import weakref

import boto3
from moto import mock_aws
from moto.ec2.models import ec2_backends
from moto.ec2.models.subnets import Subnet
from moto.stepfunctions.parser.utils import TMP_THREADS

ROUNDS = 5
MACHINE = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}


def mocked():
    """Use a mock; return a weak reference to its EC2."""
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        boto3.client("ec2").describe_volumes()
        states = boto3.client("stepfunctions")
        role = "arn:aws:iam::123456789012:role/states"
        arn = states.create_state_machine(name="m", definition=json.dumps(MACHINE), roleArn=role)["stateMachineArn"]
        execution = states.start_execution(stateMachineArn=arn, input="{}")["executionArn"]
        for _ in range(300):
            if states.describe_execution(executionArn=execution)["status"] != "RUNNING":
                break
            time.sleep(0.1)
        return weakref.ref(ec2_backends["123456789012"]["eu-central-1"])


ended = [mocked() for _ in range(ROUNDS)]
gc.collect()
kept, subnets = sum(each() is not None for each in ended), Subnet._base_avail_ip_iterator.cache_info().currsize
print(f"after {ROUNDS} mocks: {kept} of their EC2 backends in memory, {subnets} subnets in the cache")
print(f"after {ROUNDS} executions: {len(TMP_THREADS)} threads in the list, {sum(t.is_alive() for t in TMP_THREADS)} alive")
assert kept == ROUNDS and subnets >= 3 * ROUNDS and len(TMP_THREADS) >= ROUNDS, "no longer as described"
print("as described: all of it stays")
PYTHON
