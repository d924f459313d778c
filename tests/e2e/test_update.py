"""A second deployment over a first one, with another guest; and updates that fail, and are rolled back."""

import json

import pytest

from sandbox.aws.documents import MAX_SIZE_BYTES
from tests.support.deployment import deploy, update
from tests.support.fixtures import PROJECT, Quiesce
from tests.support.project import resources

STACK, SECOND, THIRD = "updated", "of the second deployment", "of the third deployment"
WITH_SCRIPTS = {"vss": "off", "scripts": {"from": "bucket"}}
# Where the template's documents of the guest come from, such as guest/act.yaml.
DOCUMENTS = [
    content["Fn::Transform"]["Parameters"]["Location"]
    for document in resources("AWS::SSM::Document").values()
    if "Fn::Transform" in (content := document["Properties"]["Content"])
]


def project_with(folder, line):
    """Return a project like this one, whose guest has one line more: the last one of each document."""
    for part in PROJECT.iterdir():
        if part.name != "guest":
            (folder / part.name).symlink_to(part)
    (folder / "guest").mkdir()
    for document in DOCUMENTS:
        (folder / document).write_text(f"{(PROJECT / document).read_text()}          # {line}\n")
    return folder


def failing(template):
    """Add a resource that can't be made, after the guest's documents."""
    included = {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "guest/too-large.yaml"}}}
    documents = [name for name, each in template["Resources"].items() if each.get("Type") == "AWS::SSM::Document"]
    properties = {**template["Resources"][documents[0]]["Properties"], "Content": included}
    too_large = {"Type": "AWS::SSM::Document", "DependsOn": documents, "Properties": properties}
    template["Resources"]["TooLarge"] = too_large


@pytest.fixture(scope="module")
def first(running_sandbox):
    """The outputs of a stack of this module's own."""
    return deploy(running_sandbox, PROJECT, STACK)


@pytest.fixture
def product(aws, first):
    product = Quiesce(aws, first)
    product.put_scripts("files-nightly")
    return product


@pytest.fixture
def guests(aws, product):
    """Back up a new server; return the last line of each guest that ran there, empty for the first deployment's."""

    def back_up():
        server = aws.servers.add("SERVER1")
        ended = product.back_up(server, defaults=WITH_SCRIPTS)
        assert ended["status"] == "SUCCEEDED", ended["cause"]
        record = json.loads(ended["output"])
        assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]
        lines = [command.script.rpartition("\n")[2] for command in server.windows.agent.commands]
        assert len(lines) == 6
        return {line.removeprefix("# ") if line.startswith("# of") else "" for line in lines}

    return back_up


def versions(aws):
    """The number of versions, and the default, of each of the stack's documents of the guest."""
    kinds = tuple(f"{STACK}-{kind}" for kind in ("LookDocument", "ActDocument", "MendDocument"))
    documents = {name: d for name, d in aws.run_command.documents.items() if name.startswith(kinds)}
    return {(len(document.made), document.default) for document in documents.values()}


def test_each_deployment_runs_its_own_guest_and_one_that_fails_leaves_the_one_before(aws, guests, tmp_path_factory):
    def project(line):
        return project_with(tmp_path_factory.mktemp("project"), line)

    assert guests() == {""}
    assert update(aws, project(SECOND), STACK) == "UPDATE_COMPLETE"
    # CloudFormation has not made the new version the default: a run without a version would get the first guest.
    assert versions(aws) == {(2, 1)}
    assert guests() == {SECOND}

    # Systems Manager refuses the new guest.
    assert update(aws, project("x" * MAX_SIZE_BYTES), STACK) == "UPDATE_ROLLBACK_COMPLETE"
    assert guests() == {SECOND}

    # It takes the guest, and something else fails: the rollback brings back the one before, as a newer version.
    third = project(THIRD)
    (third / "guest" / "too-large.yaml").write_text(
        (third / DOCUMENTS[0]).read_text() + f"          # {'x' * 70_000}\n"
    )
    assert update(aws, third, STACK, failing) == "UPDATE_ROLLBACK_COMPLETE"
    assert versions(aws) == {(4, 1)}
    assert guests() == {SECOND}

    assert update(aws, third, STACK) == "UPDATE_COMPLETE"
    assert guests() == {THIRD}
