#!/usr/bin/env bash
# moto 5.2.5, Step Functions with execute_state_machine: a Catch of States.ALL catches States.Runtime.
#
# A path that is not in the input is States.Runtime on AWS, and the developer guide (Handling errors in Step Functions
# workflows) says that States.ALL does not catch it.
# Expected: the execution fails. A clean-up behind such a Catch runs in tests on moto, and never on AWS.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[stepfunctions]==5.2.5' boto3
AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-central-1 "$folder/venv/bin/python" - <<'PYTHON'
import json
import time

import boto3
from moto import mock_aws

MACHINE = {
    "StartAt": "Map",
    "States": {
        "Map": {
            "Type": "Map",
            "ItemsPath": "$.missing",
            "ItemProcessor": {"StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": True}}},
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "CleanUp"}],
            "End": True,
        },
        "CleanUp": {"Type": "Pass", "End": True},
    },
}
with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
    states = boto3.client("stepfunctions")
    role = "arn:aws:iam::123456789012:role/states"
    arn = states.create_state_machine(name="m", definition=json.dumps(MACHINE), roleArn=role)["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=arn, input="{}")["executionArn"]
    for _ in range(300):
        ended = states.describe_execution(executionArn=execution)
        if ended["status"] != "RUNNING":
            break
        time.sleep(0.1)
    history = states.get_execution_history(executionArn=execution)["events"]
entered = [e["stateEnteredEventDetails"]["name"] for e in history if "stateEnteredEventDetails" in e]
print(ended["status"], entered, ended.get("output"))
assert ended["status"] == "SUCCEEDED" and entered == ["Map", "CleanUp"], "no longer as described"
print("as described: States.ALL has caught it")
PYTHON
