"""Run Command in the local AWS: grants for documents and servers, documents of stacks, and presigned links."""

import importlib
import json
from datetime import UTC, datetime, timedelta

import boto3
import botocore.auth
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

DENIED = "AccessDeniedException"


@pytest.fixture
def documents(aws):
    """CloudFormation's handlers for a document, imported here because the sandbox starts before MiniStack's import."""
    provisioners = importlib.import_module("ministack.services.cloudformation.provisioners")
    return provisioners._RESOURCE_HANDLERS["AWS::SSM::Document"]


@pytest.fixture
def get(aws):
    """Download from a link as a server does."""
    return importlib.import_module("sandbox.aws.ssm").BucketLinks(aws.endpoint).get


@pytest.fixture
def send(probe):
    def call(instance_id, document=None):
        named = {"DocumentName": document or probe.outputs["Document"], "InstanceIds": [instance_id]}
        return probe.call("ssm", "send_command", Parameters={"Region": ["eu-central-1"]}, **named)

    return call


@pytest.fixture
def granted(probe, aws):
    """The server that the probe's role may command: the role names it, so it needs that very id."""
    server = aws.servers.add("granted")
    server.windows.agent.connected = False  # the guest would not know the probe's document
    aws.servers.managed["i-0123456789abcdef0"] = server.windows
    state_of = aws.run_command.state_of
    aws.run_command.state_of = lambda instance_id: "running"
    yield "i-0123456789abcdef0"
    aws.run_command.state_of = state_of


def test_a_command_needs_a_grant_for_its_document_and_for_its_server(send, granted, aws):
    other = aws.servers.add("other").instance_id
    assert "Command" in send(granted)["keys"]
    assert send(other)["error"] == DENIED
    assert send(granted, document="AWS-RunPowerShellScript")["error"] == DENIED
    refused = [decision.resource.rpartition(":")[2] for decision in aws.decisions.denied("probe")]
    assert refused == [f"instance/{other}", "document/AWS-RunPowerShellScript"]
    sent = [command for windows in aws.servers.managed.values() for command in windows.agent.commands]
    assert len(set(map(id, sent))) == 1


def test_reading_answers_is_granted_on_its_own(probe):
    answer = probe.call("ssm", "get_command_invocation", CommandId="0" * 36, InstanceId="i-0123456789abcdef0")
    assert answer["error"] == "InvocationDoesNotExist"
    filters = [{"Key": "InstanceIds", "Values": ["i-0123456789abcdef0"]}]
    assert probe.call("ssm", "describe_instance_information", Filters=filters)["error"] == DENIED


def test_a_stack_brings_its_document_with_intrinsic_functions_in_the_included_text(aws, probe):
    [document] = aws.run_command.documents[probe.outputs["Document"]].made
    assert document.parameters["Region"]["allowedPattern"] == f"^{aws.region}$"


def test_to_describe_a_document_needs_a_grant(probe):
    answer = probe.call("ssm", "describe_document", Name=probe.outputs["Document"], DocumentVersion="$LATEST")
    assert answer["error"] == DENIED


def saying(words):
    """Return a document whose script says these words."""
    inputs = {"timeoutSeconds": "60", "runCommand": [f"'{words}'"]}
    step = {"action": "aws:runPowerShellScript", "name": "ask", "inputs": inputs}
    return {"Content": {"schemaVersion": "2.2", "mainSteps": [step]}, "UpdateMethod": "NewVersion"}


@pytest.fixture
def updated(documents):
    """The name of a document that was updated: its first version says old, its second new."""
    name, _ = documents["create"]("Other", saying("old"), "probe")
    documents["update"](name, saying("old"), saying("new"), "probe")
    yield name
    documents["delete"](name, saying("new"))


@pytest.fixture
def say(aws, updated):
    """Send the document, and return what its script says."""
    server = aws.servers.add("shop")

    def say(**version):
        aws.client("ssm").send_command(DocumentName=updated, InstanceIds=[server.instance_id], **version)
        return server.windows.agent.commands[-1].script.strip("'")

    return say


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ({}, "old"),
        ({"DocumentVersion": "$DEFAULT"}, "old"),
        ({"DocumentVersion": "1"}, "old"),
        ({"DocumentVersion": "2"}, "new"),
        ({"DocumentVersion": "$LATEST"}, "new"),
    ],
    ids=str,
)
def test_cloudformations_new_version_of_a_document_is_not_its_default(say, version, words):
    assert say(**version) == words


def test_a_version_that_does_not_exist_is_refused(aws, say, updated):
    with pytest.raises(ClientError, match="InvalidDocumentVersion"):
        say(DocumentVersion="3")
    with pytest.raises(ClientError, match="InvalidDocumentVersion"):
        aws.client("ssm").describe_document(Name=updated, DocumentVersion="3")


def test_a_document_is_described_by_the_version_that_is_asked_for(aws, updated):
    def described(**version):
        found = aws.client("ssm").describe_document(Name=updated, **version)["Document"]
        return found["DocumentVersion"], found["LatestVersion"], found["DefaultVersion"], found["Status"]

    assert described(DocumentVersion="$LATEST") == ("2", "2", "1", "Active")
    assert described() == ("1", "2", "1", "Active")


def test_the_text_of_a_version_is_there_to_read(aws, updated):
    found = aws.client("ssm").get_document(Name=updated, DocumentVersion="$LATEST", DocumentFormat="JSON")
    assert (json.loads(found["Content"]), found["DocumentVersion"]) == (saying("new")["Content"], "2")
    with pytest.raises(ClientError, match="documents in JSON"):
        aws.client("ssm").get_document(Name=updated, DocumentFormat="YAML")


def test_a_rollback_brings_the_old_text_back_as_a_newer_version(documents, say, updated):
    documents["update"](updated, saying("new"), saying("old"), "probe")
    assert say(DocumentVersion="3") == "old"


def test_the_text_of_the_latest_version_makes_no_other_version(aws, documents, updated):
    documents["update"](updated, saying("old"), saying("new"), "probe")
    assert len(aws.run_command.documents[updated].made) == 2


def test_a_document_of_more_than_64_kb_is_refused_and_the_version_before_stays(aws, documents, say, updated):
    with pytest.raises(Exception, match="MaxDocumentSizeExceeded"):
        documents["update"](updated, saying("new"), saying("x" * 65_536), "probe")
    assert say(DocumentVersion="$LATEST") == "new"


def test_a_document_that_was_deleted_takes_no_command(aws, documents, say, updated):
    documents["delete"](updated, saying("new"))
    with pytest.raises(ClientError, match="InvalidDocument"):
        say()


@pytest.fixture
def links(aws):
    """A client whose links name the bucket's own host, as the product's do; and the bucket with two versions."""
    real = boto3.client(
        "s3",
        region_name=aws.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            signature_version="s3v4", s3={"addressing_style": "virtual"}, ignore_configured_endpoint_urls=True
        ),
    )
    plain, bucket = aws.client("s3"), "scripts-of-a-test"
    plain.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region})
    plain.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [plain.put_object(Bucket=bucket, Key="scripts/a.ps1", Body=text)["VersionId"] for text in (b"1", b"2")]

    def link(version=0, expires_s=600):
        place = {"Bucket": bucket, "Key": "scripts/a.ps1", "VersionId": versions[version]}
        return real.generate_presigned_url("get_object", Params=place, ExpiresIn=expires_s)

    yield link
    for version in versions:
        plain.delete_object(Bucket=bucket, Key="scripts/a.ps1", VersionId=version)
    plain.delete_bucket(Bucket=bucket)


def test_a_link_leads_to_the_version_that_it_was_made_for(get, links):
    assert (get(links(0)), get(links(1))) == (b"1", b"2")


def test_a_link_that_was_changed_or_has_expired_leads_nowhere(get, links, monkeypatch):
    assert get(links().replace("/a.ps1", "/b.ps1")) is None
    assert get(links()[:-4] + "0000") is None
    long_ago = datetime.now(UTC) - timedelta(seconds=601)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: long_ago)
    assert get(links(expires_s=600)) is None
