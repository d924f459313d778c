"""The SSM document: made from this guest, small enough, and with patterns that let nothing harmful through."""

import json
import re
from re import _constants as sre  # the standard library's parser shows the constructs of a pattern
from re import _parser

import pytest
from ruamel.yaml import YAML

from guest.document import (
    COMMAND_TIMEOUT_S,
    DOCUMENT,
    LINK_MAX_CHARS,
    PARAMETERS,
    SCRIPT,
    SHADOW_SCRIPT_MAX_CHARS,
    document,
)
from quiesce.vss.script import MAX_VOLUMES, script_parameter, session_script
from tests.support.shadow_session import D, E

LIMIT_BYTES = 64 * 1024  # of the document and its parameters together: Systems Manager's quota
GO_MAX_REPEAT = 1000
SUBSTITUTES = {"Bucket": "quiesce-bucket-1a2b3c", "AWS::Region": "eu-central-1"}
LINK = "https://quiesce-bucket-1a2b3c.s3.eu-central-1.amazonaws.com/scripts/ops/i-0123456789abcdef0/before_sql.ps1"
QUERY = "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=600&X-Amz-Security-Token=IQoJ%2F%2Fa~b-c_d.e&versionId=3sL4kq"
UPLOAD = (
    "https://quiesce-bucket-1a2b3c.s3.eu-central-1.amazonaws.com/logs/i-0123456789abcdef0/run-1/session-1.zip" + QUERY
)
CONTENT = YAML(typ="safe").load(DOCUMENT)


def pattern_of(name: str) -> str:
    pattern = CONTENT["parameters"][name]["allowedPattern"]
    if isinstance(pattern, dict):
        return re.sub(r"\$\{([A-Za-z:]+)\}", lambda match: SUBSTITUTES[match[1]], pattern["Fn::Sub"])
    return str(pattern)


def constructs(parsed: object) -> list[tuple[object, object]]:
    found = []
    for operation, argument in parsed:
        found.append((operation, argument))
        if operation is sre.SUBPATTERN:
            found += constructs(argument[3])
        elif operation is sre.BRANCH:
            found += [each for branch in argument[1] for each in constructs(branch)]
        elif operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            found += constructs(argument[2])
    return found


def test_the_document_is_made_from_this_guest() -> None:
    assert DOCUMENT.read_text("ascii") == document(SCRIPT.read_text("ascii")), "python guest/document.py"


def test_the_document_with_the_largest_parameters_of_a_verb_is_below_the_quota() -> None:
    scripts = {name: LINK_MAX_CHARS for name in PARAMETERS if name.endswith("Link") and name != "UploadLink"}
    scripts["ShadowScript"] = SHADOW_SCRIPT_MAX_CHARS
    largest = {name: "x" * ({"RunId": 100, "Policy": 40} | scripts).get(name, 20) for name in PARAMETERS}
    assert len(json.dumps(CONTENT)) + len(json.dumps(largest)) < LIMIT_BYTES


def test_the_parameters_are_those_of_the_script() -> None:
    block = SCRIPT.read_text("ascii").partition("\nparam(")[2].partition("\n)\n")[0]
    assert re.findall(r"\[string\]\$(\w+) = ", block) == list(PARAMETERS) == list(CONTENT["parameters"])


def test_the_parameters_have_names_that_the_agent_keeps() -> None:
    assert all(re.fullmatch("[a-zA-Z0-9]+", name) for name in PARAMETERS)


def test_each_parameter_stands_once_in_the_script_and_in_single_quotes() -> None:
    (script,) = CONTENT["mainSteps"][0]["inputs"]["runCommand"]
    assert re.findall(r"(\S*)\{\{(\w+)\}\}(\S*)", script) == [("'", name, "'") for name in PARAMETERS]


def test_a_command_may_take_longer_than_any_verb_waits() -> None:
    assert int(CONTENT["mainSteps"][0]["inputs"]["timeoutSeconds"]) == COMMAND_TIMEOUT_S
    assert not re.search(pattern_of("WaitSeconds"), str(COMMAND_TIMEOUT_S + 100))


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_pattern_uses_only_what_java_and_go_read_alike(name: str) -> None:
    """RE2 has no look-around, no back-references and no count above 1000; both read the constructs below alike."""
    known = {sre.AT, sre.LITERAL, sre.IN, sre.MAX_REPEAT, sre.SUBPATTERN, sre.BRANCH}
    for operation, argument in constructs(_parser.parse(pattern_of(name))):
        assert operation in known
        if operation is sre.MAX_REPEAT:
            assert argument[1] in (sre.MAXREPEAT, *range(GO_MAX_REPEAT + 1))
    escaped = re.findall(r"\\(.)", pattern_of(name))
    assert {*escaped} <= {".", "?", "\\"}, "of escapes only these are the same everywhere"


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("evil", ["'", "''", "x'; exit 0 #", "$(x)", "`n", "{{Verb}}", '"', "a b", "a\nb", "../x", ""])
def test_a_pattern_lets_nothing_through_that_could_leave_its_quotes(name: str, evil: str) -> None:
    if name == "ShadowScript" and evil == "a b":
        return  # its lines have blanks
    assert not re.search(pattern_of(name), evil)
    assert not re.search(pattern_of(name), f"none{evil}") or not evil


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_default_fits_its_own_pattern(name: str) -> None:
    default = PARAMETERS[name][0]
    assert default is None or re.search(pattern_of(name), default)


def test_a_link_into_the_own_bucket_is_let_through() -> None:
    assert re.search(pattern_of("BeforeLink"), LINK + QUERY)
    assert re.search(pattern_of("UploadLink"), UPLOAD)


@pytest.mark.parametrize(
    "link",
    [
        LINK,
        LINK.replace("https:", "http:") + QUERY,
        LINK.replace("quiesce-bucket-1a2b3c", "another-bucket") + QUERY,
        LINK.replace("amazonaws.com", "amazonaws.com.evil.example") + QUERY,
        LINK.replace(".s3.", "xs3x") + QUERY,
        LINK.replace("/scripts/", "/records/") + QUERY,
        "https://evil.example/" + LINK + QUERY,
    ],
)
def test_any_other_link_is_refused(link: str) -> None:
    assert not re.search(pattern_of("BeforeLink"), link)
    assert not re.search(pattern_of("UploadLink"), link.replace("/scripts/", "/logs/"))


def test_a_script_is_fetched_from_the_scripts_only_and_files_are_put_among_the_logs_only() -> None:
    assert not re.search(pattern_of("UploadLink"), LINK + QUERY)
    assert not re.search(pattern_of("BeforeLink"), UPLOAD)


def test_only_links_and_diskshadows_script_may_be_long() -> None:
    long = {name for name, parameter in CONTENT["parameters"].items() if "maxChars" in parameter}
    assert long == {"ShadowScript", *(name for name in PARAMETERS if name.endswith("Link"))}


@pytest.mark.parametrize("copy_only", [False, True])
def test_the_longest_script_of_diskshadow_is_let_through(copy_only: bool) -> None:
    volumes = [rf"\\?\Volume{{{n:08x}-0000-0000-0000-000000000000}}" + "\\" for n in range(MAX_VOLUMES)]
    script = script_parameter(session_script(volumes, copy_only=copy_only))
    assert re.search(pattern_of("ShadowScript"), script)
    assert len(script) <= SHADOW_SCRIPT_MAX_CHARS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"*\hold.cmd", r"C:\Windows\System32\cmd.exe"),
        (r"*\hold.cmd", r"*\..\hold.cmd"),
        (" %VSS_SHADOW_SET%", " %VSS_SHADOW_SET% x"),
        (r"*\writers.cab", r"C:\writers.cab"),
        ("exit", "delete shadows all"),
        ("exit", "{{Verb}}"),
        ("set verbose on", "unexpose E:"),
        (D, "D:"),
        ("|create", "||create"),
    ],
)
def test_no_other_command_of_diskshadow_is_let_through(old: str, new: str) -> None:
    script = script_parameter(session_script([D, E], copy_only=False))
    assert old in script
    assert not re.search(pattern_of("ShadowScript"), script.replace(old, new))


@pytest.mark.parametrize("script", ["'{{Verb}}'\n", "'\u00e4'\n"])
def test_a_script_that_the_agent_would_change_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="ASCII"):
        document(script)
