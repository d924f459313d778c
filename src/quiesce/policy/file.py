"""The policy's file: turns what a person typed into a policy, or into a message with field, problem and remedy."""

from typing import Any

from quiesce.errors import PolicyRefused
from quiesce.policy.policy import Policy
from quiesce.policy.yaml_text import load_plain
from quiesce.validation import NOWHERE, Advice, Place, validated

# More than any policy needs, and small enough to read without harm.
MAX_POLICY_BYTES = 65_536
ADVICE = Advice(
    name="policy",
    home=Policy,
    missing="add it; docs/reference/reference.md shows every field",
    otherwise="correct it; docs/reference/reference.md has the bounds of every field",
)


def read_policy(data: Any, where: str, place: Place = NOWHERE) -> Policy:
    """Read a policy from loaded YAML or JSON.

    Args:
        data: what was loaded.
        where: its place in messages.
        place: gives the line and column of a part.

    Raises:
        PolicyRefused: with the field, what is wrong with it and what to write instead.
    """
    if not isinstance(data, dict):
        raise PolicyRefused(
            where,
            "is not a policy: it has no fields",
            "begin with 'name:' and 'targets:', as in policies/ of the project",
        )
    policy = validated(Policy, data, where, ADVICE, PolicyRefused, place)
    for number in range(len(policy.targets)):
        if found := policy.settings_of(number).contradiction():
            there = place(["targets", number, *found.field.split(".")])
            raise PolicyRefused(f"{where}{there}: targets[{number}].{found.field}", found.problem, found.remedy)
    return policy


def read_policy_file(content: bytes, name: str, where: str) -> Policy:
    """Read ``policies/<name>.yaml``; the name inside must be the file's.

    Raises:
        PolicyRefused: not UTF-8, too large, not plain YAML (with line and column), or not a policy of this name.
    """
    if len(content) > MAX_POLICY_BYTES:
        raise PolicyRefused(where, f"has more than {MAX_POLICY_BYTES} bytes", "split it into several policies")
    plain = load_plain(content, where)
    policy = read_policy(plain.data, where, plain.place)
    if policy.name != name:
        problem = f"is '{policy.name}', but the file is '{name}.yaml'"
        raise PolicyRefused(f"{where}{plain.place(['name'])}: name", problem, "give both the same name")
    return policy


def load_yaml(content: bytes, where: str) -> Any:
    """Load plain YAML; ``where`` names its place in messages.

    Raises:
        PolicyRefused: not UTF-8, not YAML (with line and column), or with anchors, aliases or tags.
    """
    return load_plain(content, where).data
