"""The rules over the guest's text and their lexer, which need no PowerShell."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tools.guest.checker.lexer import UnfinishedScriptError, kinds, only
from tools.guest.checker.source_rules import SOURCE_RULES, source_findings

PROJECT = Path(__file__).parents[3]
GUEST = sorted((PROJECT / "guest" / "parts").glob("*.ps1"))
SAMPLES = YAML(typ="safe").load(PROJECT / "tools" / "guest" / "checker" / "source_samples.yaml")
REFUSED = [(rule, script) for rule, samples in SAMPLES.items() for script in samples["refuse"]]
ACCEPTED = [(rule, script) for rule, samples in SAMPLES.items() for script in samples["accept"]]


@pytest.mark.parametrize(("rule", "script"), REFUSED)
def test_a_bad_sample_is_refused_under_its_own_rule(rule: str, script: str) -> None:
    assert rule in {finding.rule for finding in source_findings(script)}


@pytest.mark.parametrize(("rule", "script"), ACCEPTED)
def test_a_near_miss_is_accepted(rule: str, script: str) -> None:
    assert source_findings(script) == []


def test_every_rule_has_samples_of_both_kinds() -> None:
    assert set(SAMPLES) == {rule.name for rule in SOURCE_RULES}
    assert all(samples["refuse"] and samples["accept"] for samples in SAMPLES.values())


def test_there_is_a_guest_to_judge() -> None:
    assert GUEST


@pytest.mark.parametrize("script", GUEST, ids=lambda script: script.name)
def test_nothing_is_found_in_the_guest(script: Path) -> None:
    assert [str(finding) for finding in source_findings(script.read_bytes().decode("utf-8"))] == []


def test_a_finding_names_the_line_it_is_on() -> None:
    assert [finding.line for finding in source_findings("$a = 1\n# exit 5\nexit 5\n")] == [3]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("$a = 1", "cccccc"),
        ("# it's", "######"),
        ("a#b 'c'", "ccccsss"),
        ("<# ' #>1", "#######c"),
        ("'it''s'1", "sssssssc"),
        ('"a`"b"1', "eeeeeec"),
        ('"a""b"1', "eeeeeec"),
        ('"$(f ")")"1', "ecccceeecec"),
        ("`'a", "ccc"),
        ("@'\n'\n'@1", "hhhhhhhc"),
    ],
)
def test_every_character_has_its_kind(source: str, expected: str) -> None:
    assert kinds(source) == expected


def test_blanking_keeps_lines_and_columns() -> None:
    assert only("$a = 'x'\n<# b\nc #> $d", "c") == "$a =    \n    \n     $d"


@pytest.mark.parametrize("source", ['"no end', '"$(no end"', '"$(f (1)"'])
def test_a_string_without_an_end_is_not_guessed_at(source: str) -> None:
    with pytest.raises(UnfinishedScriptError):
        kinds(source)
