"""AWS's own document for VSS: its name, and what it takes, as EC2's User Guide says ("create-vss-snapshots-ssm")."""

import re
from collections.abc import Mapping

# Not AWSEC2-VssInstallAndSnapshot: what that installs first takes a time that no parameter bounds, while the before
# script holds the application (docs/decisions/0054-awss-document-is-sent-once-between-before-and-after.md).
NAME = "AWSEC2-CreateVssSnapshot"
# The document's own tags; one of them in its parameter is an error.
RESERVED = ("Device", "AppConsistent", "AwsVssConfig")
# Without "=", which the parameter's own form has: the guide does not say how the document would read it.
TAG_TEXT = re.compile(r"[A-Za-z0-9() ./\\\-\"'@_+:{}]+")


def tag_problem(key: str, value: str) -> str:
    """Return why AWS's document can't put a tag on its snapshots, empty if it can."""
    if key.lower() in {name.lower() for name in RESERVED}:
        return f"{key!r} is a tag that AWS's document sets itself"
    if not TAG_TEXT.fullmatch(key) or not TAG_TEXT.fullmatch(value):
        return f"AWS's document takes letters, digits and () ./\\-\"'@_+:{{}} in tags, and not {key!r}: {value!r}"
    return ""


def parameters(
    tags: Mapping[str, str], description: str, *, limit_s: int, copy_only: bool, without_root: bool
) -> dict[str, list[str]]:
    """Return the parameters of a command that makes snapshots; ``limit_s`` bounds all but its delivery."""
    return {
        "tags": [";".join(f"Key={key},Value={value}" for key, value in tags.items())],
        "description": [description],
        "executionTimeout": [str(limit_s)],
        "CopyOnly": [str(copy_only)],
        "ExcludeBootVolume": [str(without_root)],
        "CreateAmi": ["False"],
        "NoWriters": ["False"],
    }
