"""The SSM document: made from this guest, small enough, and with patterns that let nothing harmful through."""

import json
import re
from re import _constants as sre  # the standard library's parser shows the constructs of a pattern
from re import _parser

import pytest
from ruamel.yaml import YAML

from guest.document import (
    ACCOUNT,
    ACT,
    COMMAND_TIMEOUT_S,
    DOCUMENTS,
    FOLDER,
    LINK_MAX_CHARS,
    LOOK,
    MEND,
    RUNNING,
    SESSION,
    Document,
    document_text,
    joined,
    made,
    place,
    read_parts,
    scripts,
)
from tests.support.project import resources

LIMIT_BYTES = 48 * 1024  # of a document and its parameters together; Systems Manager's quota is 64 KB
MOST_LINES = 850
# The session's own script comes with a run's package, which has room for more.
MOST_OF_SESSION, MOST_OF_ACCOUNT = 950, 450
GO_MAX_REPEAT = 1000
SUBSTITUTES = {"Bucket": "quiesce-bucket-1a2b3c", "AWS::Region": "eu-central-1"}
LINK = "https://quiesce-bucket-1a2b3c.s3.eu-central-1.amazonaws.com/packages/i-0123456789abcdef0/run-1/0a1b.zip"
QUERY = "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=600&X-Amz-Security-Token=IQoJ%2F%2Fa~b-c_d.e&versionId=3sL4kq"
UPLOAD = (
    "https://quiesce-bucket-1a2b3c.s3.eu-central-1.amazonaws.com/logs/i-0123456789abcdef0/run-1/session-1.zip" + QUERY
)
CONTENTS = {document.file.stem: YAML(typ="safe").load(document.file) for document in DOCUMENTS}
PARAMETERS = [(document.file.stem, name) for document in DOCUMENTS for name in document.parameters]


@pytest.mark.parametrize("name", scripts(read_parts()))
def test_a_script_defines_each_of_its_functions_once(name):
    # PowerShell would take the later one without a word, and compares names without case.
    defined = re.findall(r"^function ([\w-]+)", scripts(read_parts())[name].lower(), re.MULTILINE)
    assert sorted(set(defined)) == sorted(defined)


def pattern_of(kind: str, name: str) -> str:
    pattern = CONTENTS[kind]["parameters"][name]["allowedPattern"]
    if isinstance(pattern, dict):
        return re.sub(r"\$\{([A-Za-z:]+)\}", lambda match: SUBSTITUTES[match[1]], pattern["Fn::Sub"])
    return str(pattern)


def longest(document: Document) -> dict[str, str]:
    """Return the document's parameters as long as they can be; SSM bounds by its pattern what has no maximum."""
    lengths = {"RunId": 100, "Policy": 40, "PackageHash": 64, "Nonce": 32}
    links = {name: LINK_MAX_CHARS for name in document.parameters if name.endswith("Link")}
    return {name: "x" * (lengths | links).get(name, 20) for name in document.parameters}


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


def test_the_guests_texts_are_made_from_these_parts() -> None:
    for file, text in made(read_parts()).items():
        assert file.read_text("ascii") == text, "python guest/document.py"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.file.stem)
def test_a_document_with_its_largest_parameters_is_far_below_the_quota(document: Document) -> None:
    """As Systems Manager stores it: indented JSON."""
    text = json.dumps(CONTENTS[document.file.stem], indent=4)
    assert len(text) + len(json.dumps(longest(document))) < LIMIT_BYTES


def test_the_part_that_acts_can_be_read_in_one_go() -> None:
    """As it is sent, with all that it shares; with comments, what both documents have is not counted."""
    (script,) = CONTENTS["act"]["mainSteps"][0]["inputs"]["runCommand"]
    assert script.count("\n") <= MOST_LINES
    texts = read_parts()
    assert sum(texts[name].count("\n") for name in ACT if name not in LOOK) <= MOST_LINES
    assert sum(texts[name].count("\n") for name in SESSION if name not in (*LOOK, *RUNNING)) <= MOST_OF_SESSION
    assert sum(texts[name].count("\n") for name in ACCOUNT) <= MOST_OF_ACCOUNT


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.file.stem)
def test_the_parameters_are_those_of_the_script(document: Document) -> None:
    block = scripts(read_parts())[document.file.stem].partition("\nparam(")[2].partition("\n)\n")[0]
    content = CONTENTS[document.file.stem]
    assert sorted(re.findall(r"\[string\]\$(\w+) = ", block)) == sorted(document.parameters)
    assert list(document.parameters) == list(content["parameters"])


@pytest.mark.parametrize(("kind", "name"), PARAMETERS)
def test_the_parameters_have_names_that_the_agent_keeps(kind: str, name: str) -> None:
    assert re.fullmatch("[a-zA-Z0-9]+", name), kind


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.file.stem)
def test_each_parameter_stands_once_in_the_script_and_in_single_quotes(document: Document) -> None:
    (script,) = CONTENTS[document.file.stem]["mainSteps"][0]["inputs"]["runCommand"]
    found = re.findall(r"(\S*)\{\{(\w+)\}\}(\S*)", script)
    assert found == [("'", name, "'") for name in document.parameters]


def test_what_looks_has_no_function_that_acts() -> None:
    texts = read_parts()
    acting = {
        name for part in {*ACT, *SESSION} - {*LOOK} for name in re.findall(r"^function ([\w-]+)", texts[part], re.M)
    }
    assert len(acting) > 50
    called = set(re.findall(r"[A-Z][a-z]+-[A-Z]\w+", joined(LOOK, texts)))
    assert called & acting <= {"Invoke-Verb"}


def test_a_command_may_take_longer_than_any_verb_waits() -> None:
    for content in CONTENTS.values():
        assert int(content["mainSteps"][0]["inputs"]["timeoutSeconds"]) == COMMAND_TIMEOUT_S
    assert not re.search(pattern_of("act", "WaitSeconds"), str(COMMAND_TIMEOUT_S + 100))


@pytest.mark.parametrize(("kind", "name"), PARAMETERS)
def test_a_pattern_uses_only_what_java_and_go_read_alike(kind: str, name: str) -> None:
    """RE2 has no look-around, no back-references and no count above 1000; both read the constructs below alike."""
    known = {sre.AT, sre.LITERAL, sre.IN, sre.MAX_REPEAT, sre.SUBPATTERN, sre.BRANCH}
    for operation, argument in constructs(_parser.parse(pattern_of(kind, name))):
        assert operation in known
        if operation is sre.MAX_REPEAT:
            assert argument[1] in (sre.MAXREPEAT, *range(GO_MAX_REPEAT + 1))
    escaped = re.findall(r"\\(.)", pattern_of(kind, name))
    assert {*escaped} <= {".", "?", "\\"}, "of escapes only these are the same everywhere"


@pytest.mark.parametrize(("kind", "name"), PARAMETERS)
@pytest.mark.parametrize("evil", ["'", "''", "x'; exit 0 #", "$(x)", "`n", "{{Verb}}", '"', "a b", "a\nb", "../x", ""])
def test_a_pattern_lets_nothing_through_that_could_leave_its_quotes(kind: str, name: str, evil: str) -> None:
    assert not re.search(pattern_of(kind, name), evil)
    assert not re.search(pattern_of(kind, name), f"none{evil}") or not evil


@pytest.mark.parametrize(("kind", "name"), PARAMETERS)
def test_a_default_fits_its_own_pattern(kind: str, name: str) -> None:
    default = CONTENTS[kind]["parameters"][name].get("default")
    assert default is None or re.search(pattern_of(kind, name), default)


@pytest.mark.parametrize("domain", ["amazonaws.com", "amazonaws.com.cn", "amazonaws.eu"])
def test_a_link_into_the_own_bucket_is_let_through_in_every_partition(domain: str) -> None:
    assert re.search(pattern_of("act", "PackageLink"), LINK.replace("amazonaws.com", domain) + QUERY)
    assert re.search(pattern_of("look", "UploadLink"), UPLOAD.replace("amazonaws.com", domain))


@pytest.mark.parametrize(
    "link",
    [
        LINK,
        LINK.replace("https:", "http:") + QUERY,
        LINK.replace("quiesce-bucket-1a2b3c", "another-bucket") + QUERY,
        LINK.replace("amazonaws.com", "amazonaws.com.evil.example") + QUERY,
        LINK.replace("amazonaws.com", "amazonaws.eu.evil.example") + QUERY,
        LINK.replace(".s3.", "xs3x") + QUERY,
        LINK.replace("/packages/", "/records/") + QUERY,
        "https://evil.example/" + LINK + QUERY,
    ],
)
def test_any_other_link_is_refused(link: str) -> None:
    assert not re.search(pattern_of("act", "PackageLink"), link)
    assert not re.search(pattern_of("look", "UploadLink"), link.replace("/packages/", "/logs/"))


@pytest.mark.parametrize("way", ["../logs", "a/../../records", "%2e%2e/records", "a/%2E./x", ".hidden", "a//b"])
def test_no_link_leads_out_of_its_folder(way: str) -> None:
    assert not re.search(pattern_of("look", "UploadLink"), UPLOAD.replace("/logs/i-0123456789abcdef0", f"/logs/{way}"))


@pytest.mark.parametrize(
    ("name", "most"),
    [
        *((f"{stage}TimeoutSeconds", 600) for stage in ("Before", "After", "Complete", "Create")),
        ("FreezeLimitSeconds", 900),
        ("SessionLimitSeconds", 48 * 3600),
    ],
)
def test_a_limit_is_at_most_that_of_a_policy(name: str, most: int) -> None:
    taken = [seconds for seconds in range(most + 1000) if re.search(pattern_of("act", name), str(seconds))]
    assert taken == list(range(1, most + 1))


def test_a_script_is_fetched_from_the_scripts_only_and_files_are_put_among_the_logs_only() -> None:
    assert not re.search(pattern_of("look", "UploadLink"), LINK + QUERY)
    assert not re.search(pattern_of("act", "PackageLink"), UPLOAD)


@pytest.mark.parametrize("kind", CONTENTS)
def test_only_links_may_be_long(kind: str) -> None:
    long = {name for name, parameter in CONTENTS[kind]["parameters"].items() if "maxChars" in parameter}
    assert long == {name for name in CONTENTS[kind]["parameters"] if name.endswith("Link")}


@pytest.mark.parametrize("script", ["'{{Verb}}'\n", "'\u00e4'\n"])
def test_a_script_that_the_agent_would_change_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="ASCII"):
        document_text(DOCUMENTS[0], script)


def test_the_scripts_are_made_of_all_parts() -> None:
    assert sorted({*LOOK, *ACT, *MEND, *SESSION, *ACCOUNT}) == sorted(part.stem for part in FOLDER.glob("*"))


def test_a_line_of_a_script_is_found_in_its_part() -> None:
    lines = scripts(read_parts())["quiesce"].split("\n")
    number = next(number for number, line in enumerate(lines, 1) if line.startswith("function Invoke-Session("))
    name, _, line = place("quiesce", number).partition(":")
    assert (name, (FOLDER / name).read_text("ascii").split("\n")[int(line) - 1]) == ("runner.ps1", lines[number - 1])


def test_the_stack_deploys_all_documents() -> None:
    deployed = [each["Properties"]["Content"] for each in resources("AWS::SSM::Document").values()]
    files = [each["Fn::Transform"]["Parameters"]["Location"] for each in deployed if "Fn::Transform" in each]
    assert files == [f"guest/{document.file.name}" for document in DOCUMENTS]


@pytest.mark.chapter("6.4.1 account")
def test_every_session_runs_as_the_local_system_account_and_no_password_of_another_is_known() -> None:
    texts = read_parts()
    assert re.findall(r"<UserId>(.*)</UserId>", texts["tasks"]) == ["S-1-5-18"]
    assert [name for name, text in texts.items() if "LogonType" in text] == ["account_task"]
    words = r"-Credential|-Password|-User\b|/r[up]\b|SecureString|LogonUser|UserName"
    assert [name for name, text in texts.items() if re.search(words, text)] == []
    assert "account_task" not in SESSION
