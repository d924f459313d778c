"""The agent's own steps do what AWS documents, refuse what it would refuse, and raise on what nobody has seen."""

import pytest

from sandbox.aws.documents import Document, SsmError
from sandbox.windows.agent import Agent, Step
from sandbox.windows.agent_steps import LATEST_AGENT, PACKAGE_S, UPDATE_S, begin
from sandbox.windows.examination import Condition

SOURCE = "https://s3.{Region}.amazonaws.com/amazon-ssm-{Region}/ssm-agent-manifest.json"
UPDATE = {"agentName": "amazon-ssm-agent", "source": SOURCE, "allowDowngrade": "false", "targetVersion": ""}
PACKAGE = {"name": "AwsVssComponents", "action": "Install", "version": ""}


def run(action, inputs, agent=None, condition=None):
    agent, condition = agent or Agent(lambda *_: None, version="3.0.100.0"), condition or Condition(aws_components=None)
    step = begin(Step(action, tuple(inputs.items())), agent, condition, 0.0)
    assert step.poll(min(UPDATE_S, PACKAGE_S) - 1) is None
    return step.poll(max(UPDATE_S, PACKAGE_S)), agent, condition


def test_an_update_takes_the_latest_once_and_an_earlier_one_only_if_that_is_allowed():
    ended, agent, _ = run("aws:updateSsmAgent", UPDATE)
    assert (ended.exit_code, agent.version) == (0, LATEST_AGENT)
    ended, _, _ = run("aws:updateSsmAgent", UPDATE, agent)
    assert "already been installed, update skipped" in ended.stdout
    earlier = UPDATE | {"targetVersion": "3.0.100.0"}
    ended, _, _ = run("aws:updateSsmAgent", earlier, agent)
    assert (ended.exit_code, agent.version) == (1, LATEST_AGENT)
    ended, _, _ = run("aws:updateSsmAgent", earlier | {"allowDowngrade": "true"}, agent)
    assert (ended.exit_code, agent.version) == (0, "3.0.100.0")
    ended, _, _ = run("aws:updateSsmAgent", UPDATE | {"targetVersion": "9.9.9.9"})
    assert ended.exit_code == 1


def test_a_package_is_installed_in_a_version_that_exists_and_uninstalled():
    _, _, condition = run("aws:configurePackage", PACKAGE)
    assert condition.aws_components == "2.5.1.0"
    ended, _, _ = run("aws:configurePackage", PACKAGE | {"version": "2.2.1"}, condition=condition)
    assert (ended.exit_code, condition.aws_components) == (0, "2.2.1.0")
    ended, _, _ = run("aws:configurePackage", PACKAGE | {"version": "7.0.0"}, condition=condition)
    assert (ended.exit_code, condition.aws_components) == (1, "2.2.1.0")
    run("aws:configurePackage", PACKAGE | {"action": "Uninstall"}, condition=condition)
    assert condition.aws_components is None


@pytest.mark.parametrize(
    ("action", "inputs"),
    [
        ("aws:updateSsmAgent", UPDATE | {"agentName": "Ec2Config"}),
        ("aws:updateSsmAgent", UPDATE | {"source": "https://example.com/manifest.json"}),
        ("aws:configurePackage", PACKAGE | {"name": "AWSPVDriver"}),
    ],
)
def test_what_nobody_has_seen_raises(action, inputs):
    with pytest.raises(NotImplementedError):
        run(action, inputs)


def a_document(action, inputs):
    step = {"action": action, "name": "step", "inputs": inputs}
    parameters = {"Version": {"type": "String", "default": "", "allowedPattern": "^[0-9.]*$"}}
    content = {"schemaVersion": "2.2", "parameters": parameters, "mainSteps": [step]}
    return Document.parse("quiesce-Update", 1, content)


def test_a_document_of_such_a_step_has_its_parameters_filled_in():
    document = a_document("aws:updateSsmAgent", UPDATE | {"targetVersion": "{{Version}}"})
    step = document.script_with({"Version": ["3.0.100.0"]})
    assert (step.action, step.named["targetVersion"]) == ("aws:updateSsmAgent", "3.0.100.0")
    assert document.script_with({}).named == UPDATE


@pytest.mark.parametrize(
    ("action", "inputs"),
    [
        ("aws:updateSsmAgent", {"agentName": "amazon-ssm-agent"}),
        ("aws:updateSsmAgent", UPDATE | {"timeoutSeconds": "60"}),
        ("aws:configurePackage", PACKAGE | {"additionalArguments": {}}),
        ("aws:configurePackage", PACKAGE | {"version": "{{Undeclared}}"}),
        ("aws:applications", {"action": "Install", "source": "x"}),
    ],
)
def test_a_step_with_other_inputs_is_refused(action, inputs):
    with pytest.raises(SsmError, match="InvalidDocumentContent"):
        a_document(action, inputs)
