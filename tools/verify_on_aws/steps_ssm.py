"""Steps on Systems Manager: documents, their versions, commands, and how long an answer takes."""

import json
from typing import Any

from botocore.exceptions import ClientError

from guest.document import LINK_MAX_CHARS
from tools.verify_on_aws.session import Seen, Step, Verification, seen

ROUNDS = 5
VISIBLE_LIMIT_S, ANSWER_LIMIT_S = 10.0, 120.0
STACK_LIMIT_S = 600.0
# The agent runs five commands at a time; SSM takes no shorter delivery time than 30 s.
AT_ONCE, DELIVERY_S, SLEEP_S, QUEUE_LIMIT_S, QUEUE_LOOK_S = 5, 30, 60, 300.0, 5.0
# The product knows these words for a command that has not ended.
UNDER_WAY = {"Pending", "InProgress", "In Progress", "Delayed"}


def _document(*lines: str) -> dict[str, Any]:
    step = {"action": "aws:runPowerShellScript", "name": "say"}
    content = {
        "schemaVersion": "2.2",
        "mainSteps": [{**step, "inputs": {"timeoutSeconds": "600", "runCommand": list(lines)}}],
    }
    properties = {"DocumentType": "Command", "DocumentFormat": "JSON", "UpdateMethod": "NewVersion", "Content": content}
    return {"Type": "AWS::SSM::Document", "Properties": properties}


def _documents(words: str) -> str:
    sleep = _document(f"Start-Sleep -Seconds {SLEEP_S}")
    return json.dumps({"Resources": {"Document": _document(f"'{words}'"), "Sleep": sleep}})


def document_stack(name: str) -> str:
    """Return the name of the small stack with one document."""
    return f"{name}-document"


def document_versions(it: Verification) -> Seen:
    """Make a document by CloudFormation, change it, and change it back as a rollback does."""
    calls, stack = it.calls, document_stack(it.name)
    tags = [{"Key": "quiesce:verify", "Value": it.name}]

    def settle(operation: str, words: str) -> None:
        calls(operation, StackName=stack, TemplateBody=_documents(words), Tags=tags)
        calls.until(
            "cloudformation:DescribeStacks",
            lambda found: not found["Stacks"][0]["StackStatus"].endswith("IN_PROGRESS"),
            limit_s=STACK_LIMIT_S,
            StackName=stack,
        )

    def described() -> str:
        found = calls("ssm:DescribeDocument", Name=str(document), DocumentVersion="$LATEST")["Document"]
        return f"{found['DocumentVersion']} {found['Status']}, default {found['DefaultVersion']}"

    settle("cloudformation:CreateStack", "old")
    resource = calls("cloudformation:DescribeStackResource", StackName=stack, LogicalResourceId="Document")
    document = resource["StackResourceDetail"]["PhysicalResourceId"]
    settle("cloudformation:UpdateStack", "new")
    updated = described()
    settle("cloudformation:UpdateStack", "old")
    returned = described()
    missing = calls.code_of(
        "ssm:SendCommand", DocumentName=str(document), DocumentVersion="999", InstanceIds=[it.instance_id]
    )
    words = f"after an update {updated}; after the old text came back {returned}; an unknown version: {missing}"
    expected = updated.startswith("2 Active") and returned.startswith("3 Active")
    return seen(expected and missing == "InvalidDocumentVersion", words)


def _latest(it: Verification, document: str) -> str:
    found = it.calls("ssm:DescribeDocument", Name=document, DocumentVersion="$LATEST")["Document"]
    return str(found["DocumentVersion"])


def _guest_document(it: Verification) -> str:
    """Return the name of the document that only looks, and has the verb inventory."""
    return str(it.resources["LookDocument"])


def agent_latency(it: Verification) -> Seen:
    """Ask the server for its inventory a few times, and measure when SSM knows the command and when its answer."""
    calls, document = it.calls, _guest_document(it)
    version, visible, answered, odd = _latest(it, document), [], [], set()
    for number in range(ROUNDS):
        parameters = {"Verb": ["inventory"], "RunId": [f"verify-{number}"], "InstanceId": [it.instance_id]}
        sent_s = calls.now_s()
        sent = calls(
            "ssm:SendCommand",
            DocumentName=document,
            DocumentVersion=version,
            InstanceIds=[it.instance_id],
            TimeoutSeconds=60,
            Parameters=parameters,
        )
        found = {"CommandId": str(sent["Command"]["CommandId"]), "InstanceId": it.instance_id}
        _wait_until_visible(it, found, sent_s + VISIBLE_LIMIT_S)
        visible.append(calls.now_s() - sent_s)
        ended = calls.until(
            "ssm:GetCommandInvocation",
            lambda answer: answer["StatusDetails"] not in UNDER_WAY,
            limit_s=ANSWER_LIMIT_S,
            every_s=min(0.1, calls.look_every_s),
            **found,
        )
        answered.append(calls.now_s() - sent_s)
        odd |= {str(ended["StatusDetails"])} - {"Success", "Failed"}
        it.measured["answer_bytes"] = len(str(ended["StandardOutputContent"]))
    it.measured["command_visible_s"] = [round(s, 2) for s in visible]
    it.measured["command_answered_s"] = [round(s, 2) for s in answered]
    words = f"known after {max(visible):.2f} s, answered after {min(answered):.2f} to {max(answered):.2f} s at most"
    if odd:
        words += f"; ended as {', '.join(sorted(odd))}"
    return seen(max(visible) < 1.0 and max(answered) < 10.0 and not odd, words)


def _wait_until_visible(it: Verification, found: dict[str, str], until_s: float) -> None:
    while True:
        try:
            it.calls("ssm:GetCommandInvocation", **found)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvocationDoesNotExist" or it.calls.now_s() > until_s:
                raise
            it.calls.pause(min(0.1, it.calls.look_every_s))
        else:
            return


def agent_queue(it: Verification) -> Seen:
    """Send as many sleeping commands as the agent runs at once, and one more whose delivery time then passes."""
    calls, stack = it.calls, document_stack(it.name)
    resource = calls("cloudformation:DescribeStackResource", StackName=stack, LogicalResourceId="Sleep")
    document = str(resource["StackResourceDetail"]["PhysicalResourceId"])

    def send(delivery_s: int) -> dict[str, str]:
        sent = calls(
            "ssm:SendCommand",
            DocumentName=document,
            DocumentVersion="1",
            InstanceIds=[it.instance_id],
            TimeoutSeconds=delivery_s,
        )
        return {"CommandId": str(sent["Command"]["CommandId"]), "InstanceId": it.instance_id}

    first = [send(600) for _ in range(AT_ONCE)]
    waiting = send(DELIVERY_S)
    _wait_until_visible(it, waiting, calls.now_s() + VISIBLE_LIMIT_S)
    at_first = str(calls("ssm:GetCommandInvocation", **waiting)["StatusDetails"])
    ends = []
    for command in (*first, waiting):
        ended = calls.until(
            "ssm:GetCommandInvocation",
            lambda answer: answer["StatusDetails"] not in UNDER_WAY,
            limit_s=QUEUE_LIMIT_S,
            every_s=QUEUE_LOOK_S,
            **command,
        )
        ends.append(str(ended["StatusDetails"]).replace(" ", ""))
    words = (
        f"the sixth command was {at_first}, and ended as {ends[-1]}; the others as {', '.join(sorted(set(ends[:-1])))}"
    )
    return seen(at_first == "Pending" and ends[-1] == "DeliveryTimedOut" and set(ends[:-1]) == {"Success"}, words)


def package_link(it: Verification) -> Seen:
    """Look how long the link to the package was in the command that staged the run with scripts."""
    filters = [{"key": "DocumentName", "value": str(it.resources["ActDocument"])}]
    commands = it.calls("ssm:ListCommands", InstanceId=it.instance_id, Filters=filters, MaxResults=50)["Commands"]
    links = [str(c["Parameters"]["PackageLink"][0]) for c in commands if "PackageLink" in c.get("Parameters", {})]
    lengths = [len(link) for link in links if link]
    if not lengths:
        return Seen("not seen", "no command had a link to a package")
    it.measured["package_link_characters"] = lengths
    return seen(max(lengths) <= LINK_MAX_CHARS, f"{max(lengths)} characters at most, in {len(lengths)} commands")


def allowed_pattern(it: Verification) -> Seen:
    """Send a value that ends with a line break, which a pattern from ^ to $ must not let through."""
    document = _guest_document(it)
    code = it.calls.code_of(
        "ssm:SendCommand",
        DocumentName=document,
        DocumentVersion=_latest(it, document),
        InstanceIds=[it.instance_id],
        Parameters={"Verb": ["inventory"], "RunId": ["verify-1\n"], "InstanceId": [it.instance_id]},
    )
    return seen(code == "InvalidParameters", f"SendCommand: {code}")


STEPS = (
    Step(
        "document-versions",
        "a new version may not be a document's default; the old text, sent back, is a newer version",
        "version 2 then 3, both Active; InvalidDocumentVersion for one that is not there",
        document_versions,
    ),
    Step(
        "agent-latency",
        "SSM knows a new command within a second; an answer comes within 10 s; no other StatusDetails",
        "less than 1 s, less than 10 s, Success",
        agent_latency,
    ),
    Step(
        "agent-queue",
        "a command that waits behind five others is Pending, and does not begin after its delivery time",
        "Pending, then DeliveryTimedOut; the five end as Success",
        agent_queue,
    ),
    Step(
        "package-link",
        "a presigned link to a package has at most 3,500 characters",
        "3,500 at most",
        package_link,
    ),
    Step(
        "allowed-pattern",
        "allowedPattern holds for the whole value, a line break at its end included",
        "InvalidParameters",
        allowed_pattern,
    ),
)
