"""Any pause between two looks prolongs a freeze: while an application is held, they are short."""

import re

import pytest

from guest.document import read_parts

# By function, all of whose waits are while an application is held, or while AWS has yet to hear that it is. A script
# under an account begins with the last two.
LONGEST_MS = {
    "Invoke-After": [50],
    "Invoke-Create": [50, 50],
    "Wait-Frozen": [50],
    "Invoke-Freeze": [100],
    "Wait-Begun": [50],
    "Invoke-Run": [50],
}
TEXT = "\n".join(read_parts().values())


def pauses_of(function: str) -> list[str]:
    """Return what follows the condition of each wait of a function: its interval, empty for the usual one."""
    [body] = re.findall(rf"^function {function}\b.*?^}}$", TEXT, re.MULTILINE | re.DOTALL)
    return [after_condition(wait) for wait in body.split("Wait-Until")[1:]]


def after_condition(wait: str) -> str:
    depth = 0
    for at, letter in enumerate(wait):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "}" and depth == 0:
            return wait[at + 1 :].partition("\n")[0].strip()
    raise AssertionError(f"a condition that does not end: {wait}")


@pytest.mark.parametrize("function", LONGEST_MS)
def test_the_server_looks_often_while_an_application_is_held(function: str) -> None:
    assert list(map(int, pauses_of(function))) == LONGEST_MS[function]
