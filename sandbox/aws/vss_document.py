"""AWS's document AWSEC2-CreateVssSnapshot, as SSM takes it: only what EC2's User Guide says of its parameters.

Source: EC2's User Guide, "create-vss-snapshots-ssm". Its content is AWS's; the sandbox refuses what the guide does not
describe, so that nothing relies on a guess.
"""

import json
import re
from collections.abc import Mapping

from sandbox.aws.documents import SsmError, execution_limit_s
from sandbox.windows.aws_vss import AWS_DOCUMENT, tags_in

NAME = "AWSEC2-CreateVssSnapshot"
# All are optional; of the last the guide does not say the default.
BOOLEANS = ("CollectDiagnosticLogs", "CopyOnly", "CreateAmi", "ExcludeBootVolume", "NoWriters", "SaveVssMetadata")
TEXTS = ("AmiName", "description", "tags", "executionTimeout")
RESERVED = {"Device", "AppConsistent", "AwsVssConfig"}
# "Tag keys and values must only contain alphanumeric characters and the following special characters"; the form of the
# parameter itself has "=", so how the document reads one in a value is not known.
TAG = re.compile(r"[A-Za-z0-9() ./\\\-\"'@_+:{}]+")
TAGS = re.compile(rf"(Key={TAG.pattern},Value={TAG.pattern})(;Key={TAG.pattern},Value={TAG.pattern})*")


def script_of(given: Mapping[str, list[str]]) -> tuple[str, int]:
    """Return what the agent is told to do for these parameters, and how long its step may run.

    Raises:
        SsmError: `InvalidParameters`, or `SandboxCannotTell` where the guide does not say what follows.
    """
    if unknown := set(given) - {*BOOLEANS, *TEXTS}:
        raise SsmError("InvalidParameters", f"not in {NAME}: {sorted(unknown)}")
    if several := [name for name, values in given.items() if len(values) != 1]:
        raise SsmError("InvalidParameters", f"{several} take one value")
    values = dict.fromkeys(BOOLEANS, "False") | {"tags": "", "description": ""} | {n: v[0] for n, v in given.items()}
    if wrong := [name for name in BOOLEANS if values[name] not in ("True", "False")]:
        raise SsmError("InvalidParameters", f"{wrong} must be True or False")
    _check(values)
    return f"{AWS_DOCUMENT}{json.dumps(values)}", execution_limit_s(values["executionTimeout"])


def _check(values: Mapping[str, str]) -> None:
    if values["CreateAmi"] == "True" or "AmiName" in values:
        raise SsmError("SandboxCannotTell", "the sandbox makes snapshots by this document, and no images")
    if not values.get("executionTimeout", "").isdecimal():
        raise SsmError("SandboxCannotTell", "the guide does not say the default of executionTimeout")
    if values["tags"] and not TAGS.fullmatch(values["tags"]):
        raise SsmError("InvalidParameters", f"tags: {values['tags']!r}")
    if RESERVED & tags_in(values["tags"]).keys():
        raise SsmError("InvalidParameters", "tags: specifying any of these reserved tags will cause an error")
    if values["description"] and not TAG.fullmatch(values["description"]):
        raise SsmError("SandboxCannotTell", "the guide does not say which characters a description may have")
