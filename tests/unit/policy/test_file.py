"""What a new user gets wrong, and the message for it: field, problem, remedy."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quiesce.backup.input import EXAMPLE, choose_target, read_request
from quiesce.errors import PolicyRefused
from quiesce.policy.file import MAX_POLICY_BYTES, read_policy, read_policy_file
from quiesce.policy.parts import NAME, VolumeChoice
from quiesce.policy.policy import Policy
from quiesce.policy.yaml_text import MAX_POLICY_DEPTH
from tests.support.factories.run import INSTANCE, a_policy, a_policy_document

OTHER = "i-0fedcba9876543210"
WHERE = "s3://bucket/policies/files.yaml"
GOOD = f"name: files\ntargets: [{{instance_id: {INSTANCE}}}]\n"
REFERENCE = "docs/reference/reference.md shows every field"
BOUNDS = "correct it; docs/reference/reference.md has the bounds of every field"


def words_of_file(content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    with pytest.raises(PolicyRefused) as refused:
        read_policy_file(data, "files", WHERE)
    return str(refused.value).removeprefix(WHERE)


def words_without_place(content: str) -> str:
    """Return the words of a field; where it stands is another test's."""
    return re.sub(r"^, line \d+, column \d+", "", words_of_file(content))


def words_of_input(raw: Any) -> str:
    with pytest.raises(PolicyRefused) as refused:
        read_request(raw)
    return str(refused.value)


def test_a_plain_file_is_a_policy() -> None:
    assert read_policy_file(GOOD.encode(), "files", WHERE) == a_policy(
        name="files", targets=[{"instance_id": INSTANCE}]
    )


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode()])
def test_a_file_saved_by_a_windows_editor_is_a_policy(content: bytes) -> None:
    assert read_policy_file(content, "files", WHERE).name == "files"


def test_yaml_1_2_takes_no_word_for_a_truth_value() -> None:
    tags = read_policy_file((GOOD + "tags: {on: yes, off: NO}\n").encode(), "files", WHERE).tags
    assert tags == {"on": "yes", "off": "NO"}


UNREADABLE = {
    "a tab": (
        "name: files\n\ttargets: []\n",
        ", line 2, column 1: is not YAML: found character '\\t' that cannot start any token."
        " Remedy: indent with spaces.",
    ),
    "not YAML": (
        "name: files: x\n",
        ", line 1, column 12: is not YAML: mapping values are not allowed here. Remedy: correct the file there.",
    ),
    "a key twice": (
        GOOD + "name: again\n",
        ', line 3, column 1: is not YAML: found duplicate key "name" with value "again" (original value: "files").'
        " Remedy: correct the file there.",
    ),
    "a key twice that reads like a tab": (
        """ "'\\\\t'": a\n "'\\\\t'": b\n""",
        """, line 2, column 2: is not YAML: found duplicate key "'\\t'" with value "b" (original value: "a")."""
        " Remedy: correct the file there.",
    ),
    "two documents": (
        GOOD + "---\n" + GOOD,
        ", line 3, column 1: is not YAML: but found another document. Remedy: correct the file there.",
    ),
    "UTF-16": (
        GOOD.encode("utf-16"),
        ": is not UTF-8 text (byte 0). Remedy: save it as UTF-8 in your editor.",
    ),
    "a NUL": (
        "name: fi\0les\n",
        ": is not YAML: unacceptable character #x0000: special characters are not allowed."
        " Remedy: save it as plain UTF-8 text.",
    ),
    "a day that is none": (
        "2026-02-31: x\n",
        ", line 1, column 1: '2026-02-31': there is no such day: February 2026 has 28 days."
        " Remedy: write a day that there is.",
    ),
    "too large": (
        GOOD + "#" * MAX_POLICY_BYTES,
        f": has more than {MAX_POLICY_BYTES} bytes. Remedy: split it into several policies.",
    ),
    "an anchor": (
        "name: &n files\nowner: *n\n",
        ", line 1, column 7: has an anchor, alias or tag. Remedy: write the value itself there.",
    ),
    "an alias to itself": (
        "targets: &t [*t]\n",
        ", line 1, column 10: has an anchor, alias or tag. Remedy: write the value itself there.",
    ),
    "a tag": (
        "name: !!python/object/apply:os.system [x]\n",
        ", line 1, column 7: has an anchor, alias or tag. Remedy: write the value itself there.",
    ),
    "too deep": (
        "[" * 30,
        f", line 1, column {MAX_POLICY_DEPTH + 1}: is nested deeper than {MAX_POLICY_DEPTH}."
        " Remedy: write the value itself there.",
    ),
    "a directive": (
        "# of an old tool\n%YAML 1.1\n---\n" + GOOD,
        ", line 2, column 1: has the directive '%YAML 1.1', which changes what values mean. Remedy: remove the line.",
    ),
    "a cron that begins with a star": (
        GOOD + "schedules:\n- cron: */15 * * * ? *\n",
        ", line 4, column 9: has a value that begins with '*', which is a sign of YAML's own."
        ' Remedy: put it in double quotes: cron: "*/15 * * * ? *".',
    ),
    "a cron that begins with a star and a blank": (
        GOOD + "schedules:\n- cron: * 2 * * ? *\n",
        ", line 4, column 9: has a value that begins with '*', which is a sign of YAML's own."
        ' Remedy: put it in double quotes: cron: "* 2 * * ? *".',
    ),
    "a cron that begins with a question mark": (
        GOOD + "schedules:\n- cron: ? 2 * * * *\n",
        ", line 4, column 9: has a value that begins with '?', which is a sign of YAML's own."
        ' Remedy: put it in double quotes: cron: "? 2 * * * *".',
    ),
    "a cron in brackets that begins with a star": (
        GOOD + "schedules: [{cron: * 2 * * ? *}]\n",
        ", line 3, column 20: has a value that begins with '*', which is a sign of YAML's own."
        ' Remedy: put it in double quotes: cron: "* 2 * * ? *".',
    ),
    "a drive letter without quotes": (
        GOOD + "defaults:\n  vss:\n    volumes: D:, E:\n",
        ", line 5, column 19: has the value 'D:, E:', and YAML reads its colon as its own."
        ' Remedy: put it in double quotes: volumes: "D:, E:".',
    ),
    "a word for a cron": (
        GOOD + "schedules:\n- cron: @daily\n",
        ", line 4, column 9: has a value that begins with '@', which is a sign of YAML's own."
        ' Remedy: put it in double quotes: cron: "@daily".',
    ),
    "another name inside": (
        GOOD.replace("files", "other"),
        ", line 1, column 7: name: is 'other', but the file is 'files.yaml'. Remedy: give both the same name.",
    ),
}


@pytest.mark.parametrize(("content", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_is_no_plain_yaml_is_refused_with_its_place(content: str | bytes, words: str) -> None:
    assert words_of_file(content) == words


@pytest.mark.parametrize(
    "content",
    ["", "# only a comment\n", "null", "- name: files\n", "name files", "<html><body>Not found</body></html>"],
)
def test_a_file_without_fields_is_no_policy(content: str) -> None:
    assert words_of_file(content) == (
        ": is not a policy: it has no fields."
        " Remedy: begin with 'name:' and 'targets:', as in policies/ of the project."
    )


MISSPELLED = {
    "tag: {a: b}": ": tag: is not a field that quiesce knows. Remedy: write 'tags'.",
    "Owner: me": ": Owner: is not a field that quiesce knows. Remedy: write 'owner'.",
    "defaults: {volume: all}": ": defaults.volume: is not a field that quiesce knows. Remedy: write 'volumes'.",
    "defaults: {volumes: {exclud: [root]}}": (
        ": defaults.volumes.exclud: is not a field that quiesce knows. Remedy: write 'exclude'."
    ),
    "volumes: all": (
        ": volumes: is not a field that quiesce knows. Remedy: move it under 'defaults' or 'targets' of the policy."
    ),
    "defaults: {include: [root]}": (
        ": defaults.include: is not a field that quiesce knows. Remedy: move it under 'volumes' of the policy."
    ),
    "colour: red": (
        ": colour: is not a field that quiesce knows."
        " Remedy: remove it; known here: keep, at_least, partial_counts, keep_partial_days, timezone, name, owner,"
        " tags, defaults, targets, exclude, missing, max_concurrency, schedules, except, latest_start, alert, lock,"
        " archive."
    ),
}


@pytest.mark.parametrize(("line", "words"), MISSPELLED.items())
def test_a_misspelled_field_is_told_what_its_own_level_knows(line: str, words: str) -> None:
    assert words_without_place(GOOD + line + "\n") == words


def test_a_misspelled_field_that_is_needed_is_named_and_not_what_is_missing() -> None:
    assert words_without_place(f"name: files\ntargets:\n- instanceid: {INSTANCE}\n") == (
        ": targets[0].instanceid: is not a field that quiesce knows. Remedy: write 'instance_id'."
    )


WRONG_VALUES = {
    "name: 2026\ntargets: []": ": name: 2026: must be text (and 1 more). Remedy: write it in quotes.",
    GOOD + "tags: {Cost: 4711}": ": tags.Cost: 4711: must be text. Remedy: write it in quotes.",
    GOOD + "tags: {4711: x}": ": tags[4711]: 4711: must be text. Remedy: write it in quotes.",
    GOOD + "tags: {Day: 2026-01-01}": (": tags.Day: 2026-01-01: must be text. Remedy: write it in quotes."),
    GOOD + "defaults: {volumes: [root]}": (
        f": defaults.volumes: ['root']: must be 'all', or have one of 'include' and 'exclude'. Remedy: {BOUNDS}."
    ),
    GOOD + "defaults: {volumes: {exclude: root}}": (
        f": defaults.volumes.exclude: 'root': must be a list. Remedy: {BOUNDS}."
    ),
    f"name: files\ntargets: {{instance_id: {INSTANCE}}}": (
        f": targets: {{'instance_id': '{INSTANCE}'}}: must be a list. Remedy: {BOUNDS}."
    ),
    "name: files": f": targets: is missing. Remedy: add it; {REFERENCE}.",
    f"targets: [{{instance_id: {INSTANCE}}}]": f": name: is missing. Remedy: add it; {REFERENCE}.",
    GOOD + "owner: " + "x" * 100: (f": owner: '{'x' * 56}...: must be {NAME.words}. Remedy: {BOUNDS}."),
}


@pytest.mark.parametrize(("content", "words"), WRONG_VALUES.items())
def test_a_wrong_value_is_shown_with_its_field_and_what_to_do(content: str, words: str) -> None:
    assert words_without_place(content + "\n") == words


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("schedules:\n- every: 6h\n- cron: 0 25 * * ? *\n", "line 5, column 9: schedules[1].cron: "),
        ("schedules: [{every: 6h, from: tomorrow}]\n", "line 3, column 31: schedules[0].from: "),
        ("defaults:\n  vss: {retries: 99}\n", "line 4, column 18: defaults.vss.retries: "),
        ("defaults: {evidence: required, vss: 'off'}\n", "line 2, column 11: targets[0].evidence: "),
        ("except:\n- Sun 22:00-04:00\n- Someday\n", "line 4, column 1: except: "),
    ],
)
def test_a_wrong_value_is_told_with_its_line_and_column(lines: str, place: str) -> None:
    assert words_of_file(GOOD + lines).startswith(f", {place}")


@given(st.binary(max_size=200) | st.text(alphabet="{}[]:-&*!|>'\"%@?#, \n\tabc019<", max_size=80).map(str.encode))
@example(b"!!bool x")
@example(b"!!int ''")
@example(b"%YAML 1.1\n---\nname: yes")
@example(b"? {a: b}\n: c")
@example(b"a: .inf")
@example(b"a: " + b"1" * 5000)
def test_whatever_the_bytes_the_answer_is_a_policy_or_words(content: bytes) -> None:
    try:
        answer: Policy | str = read_policy_file(content, "files", WHERE)
    except PolicyRefused as refused:
        answer = str(refused)
    assert isinstance(answer, Policy) or answer.startswith(WHERE)


def test_an_inline_policy_is_read_like_a_file() -> None:
    assert read_policy(a_policy_document(), "policy") == a_policy()
    with pytest.raises(
        PolicyRefused, match=r"^policy: tag: is not a field that quiesce knows\. Remedy: write 'tags'\.$"
    ):
        read_policy(a_policy_document(tag={}), "policy")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("files", f"input: is str, not a JSON object. Remedy: write for example {EXAMPLE}."),
        ([1], f"input: is list, not a JSON object. Remedy: write for example {EXAMPLE}."),
        (None, f"input: is NoneType, not a JSON object. Remedy: write for example {EXAMPLE}."),
        ({}, f"policy: is missing. Remedy: add it, as in {EXAMPLE}."),
        (
            {"polcy": "files", "instance_id": INSTANCE},
            "polcy: is not a field that quiesce knows (and 1 more). Remedy: write 'policy'.",
        ),
        (
            {"policy": "files", "instance-id": INSTANCE},
            "instance-id: is not a field that quiesce knows. Remedy: write 'instance_id'.",
        ),
        (
            {"policy": "files"},
            f"instance_id: is missing. Remedy: say which of the policy's targets to back up, as in {EXAMPLE}.",
        ),
        (
            {"policy": "files", "instance_id": "i-123"},
            "instance_id: 'i-123': must be the id of a server, such as i-0123456789abcdef0, or its Name tag. "
            f"Remedy: {BOUNDS}.",
        ),
        (
            {"policy": "../x", "instance_id": INSTANCE},
            "policy: '../x': must be 1 to 40 letters, digits, '-' and '_', of which the first is a letter or a digit. "
            f"Remedy: {BOUNDS}.",
        ),
        (
            {"policy": 7, "instance_id": INSTANCE},
            "policy: 7: must be text. Remedy: write it in quotes.",
        ),
        (
            {"policy": "files", "instance_id": INSTANCE, "scheduled_time": "<aws.scheduler.scheduled-time>"},
            "scheduled_time: '<aws.scheduler.scheduled-time>': must be a time in UTC, such as 2026-03-14T01:30:00Z. "
            f"Remedy: {BOUNDS}.",
        ),
        (
            {"policy": "files", "instance_id": INSTANCE, "volumes": "all"},
            "volumes: is not a field that quiesce knows. Remedy: move it under 'defaults' or 'targets' of the policy.",
        ),
    ],
)
def test_an_input_that_cannot_be_meant_is_refused_in_words(raw: Any, words: str) -> None:
    assert words_of_input(raw) == words


def test_a_policy_by_name_and_a_server_are_a_request() -> None:
    request = read_request({"policy": "files", "instance_id": INSTANCE, "scheduled_time": "2026-03-14T01:30:00Z"})
    assert (request.policy, request.instance_id) == ("files", INSTANCE)


def test_an_inline_policy_of_one_target_needs_no_server() -> None:
    request = read_request({"policy": a_policy_document(defaults={"volumes": {"exclude": ["root"]}})})
    policy = read_policy(request.policy, "policy")
    assert choose_target(policy, request).volumes == VolumeChoice(exclude=["root"])


def test_an_inline_policy_of_several_targets_needs_one_named() -> None:
    document = a_policy_document(
        targets=[{"instance_id": INSTANCE}, {"instance_id": OTHER, "volumes": {"include": ["root"]}}]
    )
    with pytest.raises(PolicyRefused) as refused:
        choose_target(Policy.model_validate(document), read_request({"policy": document}))
    assert str(refused.value) == (
        f"instance_id: is missing, and the policy has 2 targets. Remedy: name one of {INSTANCE}, {OTHER}."
    )
    named = read_request({"policy": document, "instance_id": OTHER})
    assert choose_target(Policy.model_validate(document), named).volumes == VolumeChoice(include=["root"])


def test_a_server_that_is_no_target_is_refused_with_the_targets_named() -> None:
    with pytest.raises(PolicyRefused) as refused:
        choose_target(a_policy(), read_request({"policy": "files-nightly", "instance_id": OTHER}))
    assert str(refused.value) == (
        f"instance_id: {OTHER} is no target of policy 'files-nightly' (its targets: {INSTANCE}). "
        "Remedy: correct the id, or add it to the policy's targets."
    )


def test_an_input_of_more_than_64_kib_is_refused_as_step_functions_counts_it() -> None:
    def of_size(size: int) -> dict[str, Any]:
        request = {"policy": {"name": "files", "targets": [{"instance_id": "i-0123456789abcdef0"}], "tags": {"x": ""}}}
        bare = len(json.dumps(request, separators=(",", ":")).encode())
        # Two bytes a letter in UTF-8, six where JSON escapes it.
        request["policy"]["tags"]["x"] = "\u00fc" * ((size - bare) // 2) + "u" * ((size - bare) % 2)
        return request

    assert read_request(of_size(65_536)).instance_id is None
    with pytest.raises(PolicyRefused, match="input: has 65537 bytes, more than 65536"):
        read_request(of_size(65_537))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (
            {"vss": {"backup_typ": "copy"}},
            "vss.backup_typ: is not a field that quiesce knows. Remedy: write 'backup_type'",
        ),
        (
            {"initial_image": {"every_day": 3}},
            "initial_image.every_day: is not a field that quiesce knows (and 1 more). Remedy: write 'every_days'",
        ),
    ],
)
def test_a_typo_in_a_part_of_the_policy_is_compared_with_its_fields(part: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        read_policy({"name": "files", "targets": [{"instance_id": "i-0123456789abcdef0"}], "defaults": part}, "p")
    assert str(refused.value) == f"p: defaults.{words}."
