"""Run Command accepts the documents and parameters that AWS documents, and refuses all others."""

import copy

import pytest

from sandbox.aws.documents import Document, SsmError

CONTENT = {
    "schemaVersion": "2.2",
    "parameters": {
        "Verb": {"type": "String", "allowedPattern": "^(freeze|thaw)$"},
        "Attempt": {"type": "String", "default": "1", "maxChars": 2},
    },
    "mainSteps": [
        {
            "action": "aws:runPowerShellScript",
            "name": "ask",
            "inputs": {"timeoutSeconds": "900", "runCommand": ["ask '{{Verb}}' '{{ Attempt }}'", "exit 0"]},
        }
    ],
}


def parsed(**changes):
    return Document.parse("quiesce-Guest", 1, {**copy.deepcopy(CONTENT), **changes})


def test_parameters_and_defaults_stand_in_the_script():
    assert parsed().script_with({"Verb": ["thaw"]}) == "ask 'thaw' '1'\nexit 0"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Verb": ["thaw"], "Other": ["1"]},
        {"Verb": ["thaw", "freeze"]},
        {"Verb": []},
        {"Verb": ["thaw\n"]},
        {"Verb": ["rm"]},
        {"Verb": ["thaw"], "Attempt": ["111"]},
    ],
    ids=["missing", "unknown", "two values", "no value", "a line more", "another pattern", "too long"],
)
def test_parameters_that_the_document_does_not_allow_are_refused(given):
    with pytest.raises(SsmError) as refused:
        parsed().script_with(given)
    assert refused.value.code == "InvalidParameters"


def test_document_and_parameters_together_fit_64_kib():
    parameters = {"Verb": {"type": "String"}}
    document = parsed(parameters=parameters, description="x" * 40_000, mainSteps=_step("ask '{{Verb}}'"))
    with pytest.raises(SsmError) as refused:
        document.script_with({"Verb": ["x" * 26_000]})
    assert refused.value.code == "MaxDocumentSizeExceeded"
    with pytest.raises(SsmError, match="MaxDocumentSizeExceeded"):
        parsed(description="x" * 66_000)


def _step(*lines, **changes):
    inputs = {"timeoutSeconds": "900", "runCommand": list(lines)}
    return [{"action": "aws:runPowerShellScript", "name": "ask", "inputs": inputs, **changes}]


@pytest.mark.parametrize(
    "changes",
    [
        {"schemaVersion": "1.2"},
        {"mainSteps": _step("x") * 2},
        {"mainSteps": _step("x", action="aws:runShellScript")},
        {"mainSteps": _step("x", onFailure="exit")},
        {"mainSteps": _step("{{Nobody}}")},
        {"parameters": {"run_id": {"type": "String"}}},
        {"parameters": {"Verb": {"type": "StringList"}}},
        {"parameters": {"Verb": {"type": "String", "interpolationType": "ENV_VAR"}}},
        {"parameters": {"Verb": {"type": "String", "allowedPattern": "thaw"}}},
        {"parameters": {"Verb": {"type": "String", "allowedPattern": {"Fn::Sub": "^x$"}}}},
    ],
    ids=str,
)
def test_what_nobody_has_seen_in_a_document_is_refused(changes):
    with pytest.raises(SsmError) as refused:
        parsed(**changes)
    assert refused.value.code == "InvalidDocumentContent"


@pytest.mark.parametrize(("text", "seconds"), [("900", 900), ("4", 3600), ("172801", 3600), ("soon", 3600)])
def test_a_time_limit_out_of_bounds_is_the_agents_default(text, seconds):
    inputs = {"timeoutSeconds": text, "runCommand": ["x"]}
    assert parsed(mainSteps=_step(inputs=inputs), parameters={}).execution_limit_s == seconds
