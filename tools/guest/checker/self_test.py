"""Check with a real parser that the rules still refuse their bad samples, before they check any script."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML

from tools.guest.checker.lexer import CODE, COMMENT, EXPANDABLE, HERE_STRING, STRING, kinds
from tools.guest.checker.source_rules import Finding
from tools.guest.checker.tree import Tree, parse
from tools.guest.checker.tree_rules import TREE_RULES, tree_findings

SAMPLES = Path(__file__).with_name("tree_samples.yaml")
STRICT_MODE = "Set-StrictMode -Version Latest\n$ErrorActionPreference = 'Stop'\n"
TOKEN_KINDS = {
    "Comment": COMMENT,
    "StringLiteral": STRING,
    "StringExpandable": EXPANDABLE,
    "HereStringLiteral": HERE_STRING,
    "HereStringExpandable": HERE_STRING,
}


def sample_problems() -> list[str]:
    """Return each bad sample that its tree rule does not refuse, and each near miss that it does not accept."""
    samples = YAML(typ="safe").load(SAMPLES)
    cases = [(rule, kind, script) for rule in samples for kind in samples[rule] for script in samples[rule][kind]]
    problems = [f"{rule}: needs samples of both kinds" for rule in TREE_RULES if len(samples.get(rule, ())) != 2]
    for (rule, kind, script), tree in zip(cases, _parse_texts([_complete(case[2]) for case in cases]), strict=True):
        found = tree_findings(tree)
        right = not found if kind == "accept" else rule in {finding.rule for finding in found}
        if not right:
            problems.append(f"{rule}: does not {kind} {script!r}: {found}")
    return problems


def lexer_difference(source: str, tree: Tree) -> list[Finding]:
    """Find where our lexer sees another string or comment than PowerShell; code within a string is not compared."""
    ours = kinds(source)
    theirs = list(CODE * len(source))
    for kind, start, end in tree.tokens:
        letter = TOKEN_KINDS.get(kind, CODE)
        inside = ours[start + 1 : end - 1] if letter == EXPANDABLE else letter * (end - start - 2)
        theirs[start:end] = (letter + inside + letter)[: end - start]
    for at, (our_kind, their_kind) in enumerate(zip(ours, theirs, strict=True)):
        if our_kind != their_kind:
            line = source.count("\n", 0, at) + 1
            return [Finding(line, "lexer", f"{source[at : at + 20]!r} is {their_kind} to PowerShell, {our_kind} to us")]
    return []


def _parse_texts(texts: Sequence[str]) -> list[Tree]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.ps1") for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text, encoding="utf-8")
        return parse(paths)


def _complete(script: str) -> str:
    """Append the StrictMode lines, which every script must have, to a sample that is not about them."""
    return script if script.startswith("#\n") else script + STRICT_MODE
