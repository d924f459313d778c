"""Rights by experiment: each action of the template is taken out once, and the tool that reads the code misses it."""

from copy import deepcopy

import pytest

from tests.support.project import resources
from tests.template.permissions import listed, statements
from tools.rights import __main__ as rights
from tools.rights import machines, scopes
from tools.rights.calls import Call, Reach

FUNCTIONS = sorted(resources("AWS::Serverless::Function"))

OTHERS = [*sorted(resources("AWS::Serverless::StateMachine")), machines.KEY_POLICY]


def differences_with(function, changed):
    return rights.differences(lambda name: changed if name == function else statements(name))


def test_every_role_allows_what_its_code_calls_and_nothing_else():
    assert rights.differences() == []


def test_every_machine_and_the_policy_of_the_key_allow_what_is_needed_and_nothing_else():
    assert machines.differences() == []


def without_one(stated):
    """Give the statements once for each action, and once for each of several resources, with it taken out."""
    for place, statement in enumerate(stated):
        for part in ("Action", "Resource"):
            values = listed(statement[part])
            # A statement always has a resource: the last one goes with its actions.
            for value in values if part == "Action" or len(values) > 1 else ():
                changed = deepcopy(stated)
                changed[place][part] = [other for other in values if other != value]
                yield f"{statement['Sid']}: {value}", changed


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_action_that_is_taken_out_is_missed_and_so_is_a_resource(function):
    taken_out = dict(without_one(list(statements(function))))
    assert taken_out
    assert [what for what, changed in taken_out.items() if not differences_with(function, changed)] == []


@pytest.mark.parametrize("name", OTHERS)
def test_an_action_that_is_taken_out_of_a_machine_or_of_the_keys_policy_is_missed(name):
    taken_out = dict(without_one(list(machines.statements(name))))
    for what, changed in taken_out.items():
        stated = {other: machines.statements(other) for other in OTHERS} | {name: changed}
        assert machines.differences(stated.__getitem__), what


@pytest.mark.parametrize(
    ("action", "resource", "words"),
    [
        ("ssm:CancelCommand", "*", "ThawFunction may ssm:CancelCommand, and nothing of it needs that"),
        ("ssm:SendComand", "*", "ssm:SendComand is no action of ssm"),
        ("ssm:SendCommand", "*", "ssm:SendCommand on everything, although it knows"),
        ("ssm:SendCommand", "arn:aws:ec2:::volume/*", "ssm:SendCommand knows no resource like arn:aws:ec2:::volume/*"),
    ],
)
def test_a_right_that_nothing_needs_or_that_does_not_exist_is_named(action, resource, words):
    more = [*statements("ThawFunction"), {"Sid": "More", "Action": action, "Resource": resource}]
    assert any(words in difference for difference in differences_with("ThawFunction", more))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            "read_mail",
            "src/quiesce/aws/mails.py:7: say in FOLDERS of tools/rights/scopes.py in which folder read_mail works",
        ),
        (
            "write_json",
            "src/quiesce/aws/mails.py:7: say in FOLDERS of tools/rights/scopes.py in which folder write_json",
        ),
    ],
    ids=["unknown", "no caller that says where"],
)
def test_a_function_that_works_in_no_known_folder_is_named_with_where_to_add_it(function, words):
    call = Call("s3", "get_object", "src/quiesce/aws/mails.py:7", function)
    with pytest.raises(scopes.NoScope) as unknown:
        scopes.scopes_of_call("s3:GetObject", call, "s3:GetObject", Reach())
    assert words in str(unknown.value)


def test_a_command_whose_verb_the_tool_cannot_read_is_named():
    call = Call("ssm", "send_command", "src/quiesce/aws/ssm.py:7", "_send")
    with pytest.raises(scopes.NoScope, match=r"src/quiesce/aws/ssm.py:7: no verb stands as text"):
        scopes.scopes_of_call("ssm:SendCommand", call, "ssm:SendCommand", Reach())
