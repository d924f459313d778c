"""Each pause between two looks prolongs a freeze: while an application is held, they are short."""

import re

import pytest

from guest.document import read_parts

# By function, whose first wait is while an application is held, or while AWS has yet to hear that it is.
LONGEST_MS = {"Invoke-After": 50, "Invoke-Create": 50, "Wait-Frozen": 50, "Invoke-Freeze": 100}
TEXT = "\n".join(read_parts().values())


def first_pause(function: str) -> str:
    """Return what follows the condition of a function's first wait: its interval, empty for the usual one."""
    [body] = re.findall(rf"^function {function}\b.*?^}}$", TEXT, re.MULTILINE | re.DOTALL)
    wait, depth = body[body.index("Wait-Until") :], 0
    for at, letter in enumerate(wait):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "}" and depth == 0:
            return wait[at + 1 :].partition("\n")[0].strip()
    raise AssertionError(f"{function} waits for nothing")


@pytest.mark.parametrize("function", LONGEST_MS)
def test_the_server_looks_often_while_an_application_is_held(function: str) -> None:
    assert 0 < int(first_pause(function)) <= LONGEST_MS[function]
