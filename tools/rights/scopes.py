"""Within what a call needs its right, where several statements of a role allow the same action.

A scope is a folder of the bucket, a document of Systems Manager, a function, or whether a resource exists or is being
created. So each statement is missed by itself when it is taken out.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from quiesce.guest.documents import ACT, LOOK, MEND
from quiesce.vss.aws_document import NAME as AWS_DOCUMENT
from tests.template.permissions import listed
from tools.rights.calls import Call, Reach

# The folder of the bucket in which each function of aws/bucket.py reads, writes or lists; where its callers choose it,
# by the functions that say where.
FOLDERS: Mapping[str, str | Mapping[str, str]] = {
    "read_policy": "policies",
    "lines_with": "policies",
    "list_scripts": "scripts",
    "_keys": {"list_scripts": "scripts", "lines_with": "policies", "_other_policies": "policies"},
    "read_file": "policies",
    "list_files": "policies",
    "read_script": "scripts",
    "read_writers_file": "scripts",
    "write_package": "packages",
    "link_to_package": "packages",
    "link_to_put": "logs",
    "read_archive": "logs",
    "write_session_file": "logs",
    "write_json": {
        "record_key": "records",
        "account_key": "recoveries",
        "_copy": "reverts",
        "keep_latest": "posture",
        "write_items": "doctor",
        "fix_key": "fixes",
    },
    "write_text": {"progress_key": "recoveries", "_write_progress": "reverts", "plan_key": "plans"},
    "read_json": {
        "hashes_key": "reverts",
        "read_items": "doctor",
        "diagnosis": "doctor",
        "list_records": "records",
        "_accounts": "recoveries",
        "_known_posture": "posture",
    },
    "list_below": {"list_records": "records", "_accounts": "recoveries"},
    "read_record": "records",
    "write_page": {"page_key": "records", "overview_html": "pages"},
    "_log_file": "logs",
    "keep_json": "reverts",
    "_write_file": "policy-runs",
    "_read_file": "policy-runs",
    "write_servers": "retention",
    "read_servers": "retention",
}
# Functions that read what may not be there: S3 tells them only if they may list (API reference, GetObject).
LISTING = {
    "plan": ("policies", "policy-runs"),
    "resolve": ("policies",),
    "revert": ("reverts",),
    "retention": ("policies", "policy-runs"),
    "page": ("records", "policies", "recoveries", "logs", "posture"),
}
IN_FOLDERS = ("s3:GetObject", "s3:PutObject", "s3:ListBucket")
# What one call asks for on what it creates, and another one, or the same, on what exists: the statement's condition is
# a tag of the request, or one of the resource.
CREATED, EXISTING = "created", "existing"
TAG, COPY = "ec2:CreateTags", "ec2:CopySnapshot"
# What a call creates with tags, which needs CreateTags on each kind.
TAGGED: Mapping[str, tuple[str, ...]] = {
    "ec2:CreateImage": ("image", "snapshot"),
    "ec2:CreateSecurityGroup": ("security-group",),
    "ec2:CreateSnapshots": ("snapshot",),
    "ec2:CreateVolume": ("volume",),
    "ec2:RunInstances": ("instance", "volume"),
    "ec2:CopySnapshot": ("snapshot",),
    "ebs:StartSnapshot": ("snapshot",),
}
DELETE, LOCK, ARCHIVE = "ec2:DeleteSnapshot", "ec2:LockSnapshot", "ec2:ModifySnapshotTier"
# What retention locks, marks, deletes and archives, by the function that does it, and the tag that its statement names.
REMOVING: Mapping[str, tuple[str, ...]] = {
    "lock_snapshot": ("of a run", "built for a run"),
    "archive": ("of a run", "built for a run"),
    "mark": ("of a run", "built for a run"),
    "delete": ("of a run", "built for a run"),
    "deregister": ("of an image",),
}
REMOVED = {
    "quiesce:run': 'false'": "of a run",
    "quiesce:built-for': 'false'": "built for a run",
    "quiesce:run': 'true'": "of an image",
}
HOLD = "quiesce:hold"
# The functions that are started beforehand, by who does it.
INVOKE = "lambda:InvokeFunction"
STARTED: Mapping[str, tuple[str, ...]] = {"warm_up": ("SnapshotFunction", "SnapshotByAwsFunction", "ThawFunction")}
SEND, DESCRIBE = "ssm:SendCommand", "ssm:DescribeDocument"
DOCUMENTS = {
    "LookDocument": LOOK,
    "ActDocument": ACT,
    "MendDocument": MEND,
    # Of AWS's own steps, by the names under which they are run.
    "UpdateDocument": ("update",),
    "ComponentsDocument": ("components",),
}
ASKING = ("ask:", "run:")
# How the resources of a statement name its scopes.
OF_DOCUMENT = r":document/(?:\$\{(\w+)\}|([\w-]+))"
NAMED = {SEND: OF_DOCUMENT, DESCRIBE: OF_DOCUMENT, INVOKE: r"(\w+)\.Arn"}


class NoScope(Exception):
    """The tool does not know within what a call needs its right; the message says where to add it."""


def scopes_of_call(action: str, call: Call, own_action: str, reach: Reach) -> tuple[str, ...]:
    """Return within what a call needs an action.

    Args:
        action: the call's own, or one that it needs beside that.
        call: where it stands.
        own_action: the call's own.
        reach: what the function's code reaches.

    Raises:
        NoScope: the tables above do not name the call's function.
    """
    if action in IN_FOLDERS:
        return tuple(f"{folder}/" for folder in _folders(call, reach))
    if action == DESCRIBE:
        # A function that names no others asks for the versions of those that carry its own verbs.
        of_a_run = ("LookDocument", "ActDocument")
        return of_a_run if "documents_of" in reach.functions else tuple(_documents(call, reach))
    if action == SEND:
        return (AWS_DOCUMENT,) if call.function == "send" else tuple(_documents(call, reach))
    if (action in (TAG, DELETE, LOCK, ARCHIVE) and call.function in REMOVING) or action == COPY:
        return REMOVING.get(call.function, (CREATED, EXISTING))
    if action == TAG:
        return (EXISTING,) if own_action == TAG else tuple(f"{CREATED} {kind}" for kind in TAGGED[own_action])
    return STARTED[call.function] if action == INVOKE else ("",)


def scopes_of_statement(action: str, statement: Mapping[str, Any]) -> Iterator[str]:
    """Give within what a statement allows an action."""
    text = str(statement.get("Condition", {}))
    resources = [str(resource) for resource in listed(statement["Resource"])]
    if action == "s3:ListBucket":
        yield from re.findall(r"'([\w-]+/)\*'", text)
    elif action in IN_FOLDERS:
        yield from (match[1] for each in resources if (match := re.search(r"\$\{Bucket\.Arn\}/([\w-]+/)\*", each)))
    elif action in NAMED:
        found = (re.search(NAMED[action], each) for each in resources)
        yield from (match[match.lastindex or 0] for match in found if match)
    elif action in (LOCK, ARCHIVE) or (action in (TAG, DELETE) and HOLD in text):
        yield from (scope for tag, scope in REMOVED.items() if tag in text)
    elif action in (TAG, COPY):
        created = "aws:RequestTag/" in text or "ec2:CreateAction" in text
        if not created:
            yield EXISTING
        if created or "aws:ResourceTag/" not in text:
            yield from _created(resources) if action == TAG else (CREATED,)
    else:
        yield ""


def _folders(call: Call, reach: Reach) -> list[str]:
    found = FOLDERS.get(call.function)
    if isinstance(found, str):
        return [found]
    if found is None or not found.keys() & reach.functions:
        raise NoScope(f"{call.place}: say in FOLDERS of tools/rights/scopes.py in which folder {call.function} works")
    return [folder for function, folder in found.items() if function in reach.functions]


def _documents(call: Call, reach: Reach) -> list[str]:
    verbs = {word.partition(":")[2] for word in reach.words if word.startswith(ASKING)}
    if not verbs:
        raise NoScope(f"{call.place}: no verb stands as text in what asks for it: guest.ask('freeze', ...)")
    return [name for name, carried in DOCUMENTS.items() if verbs & set(carried)]


def _created(resources: list[str]) -> Iterator[str]:
    for resource in resources:
        if kind := re.search(r":([a-z-]+)/\*", resource):
            yield f"{CREATED} {kind[1]}"
