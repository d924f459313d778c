"""The policy's file: turns what a person typed into a policy, or into a message with field, problem and remedy."""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent

from quiesce.errors import PolicyRefused
from quiesce.policy.policy import Policy
from quiesce.validation import Advice, validated

# More than any policy needs, and small enough to read without harm.
MAX_POLICY_BYTES = 65_536
# Deeper than any policy is nested, and far below the limit of the parser's recursion.
MAX_POLICY_DEPTH = 20
ADVICE = Advice(
    name="policy",
    home=Policy,
    missing="add it; docs/reference/reference.md shows every field",
    otherwise="correct it; docs/reference/reference.md has the bounds of every field",
)


def read_policy(data: Any, where: str) -> Policy:
    """Read a policy from loaded YAML or JSON; ``where`` names its place in messages.

    Raises:
        PolicyRefused: with the field, what is wrong with it and what to write instead.
    """
    if not isinstance(data, dict):
        raise PolicyRefused(
            where,
            "is not a policy: it has no fields",
            "begin with 'name:' and 'targets:', as in policies/ of the project",
        )
    policy = validated(Policy, data, where, ADVICE, PolicyRefused)
    for number, target in enumerate(policy.targets):
        settings = policy.settings_for(target.instance_id)
        if settings and (found := settings.contradiction()):
            raise PolicyRefused(f"{where}: targets[{number}].{found.field}", found.problem, found.remedy)
    return policy


def read_policy_file(content: bytes, name: str, where: str) -> Policy:
    """Read ``policies/<name>.yaml``; the name inside must be the file's.

    Raises:
        PolicyRefused: not UTF-8, too large, not plain YAML (with line and column), or not a policy of this name.
    """
    if len(content) > MAX_POLICY_BYTES:
        raise PolicyRefused(where, f"has more than {MAX_POLICY_BYTES} bytes", "split it into several policies")
    policy = read_policy(_load_yaml(content, where), where)
    if policy.name != name:
        raise PolicyRefused(
            f"{where}: name", f"is '{policy.name}', but the file is '{name}.yaml'", "give both the same name"
        )
    return policy


def _load_yaml(content: bytes, where: str) -> Any:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyRefused(
            where, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8 in your editor"
        ) from error
    try:
        _check_plain(text, where)
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        tab = mark is not None and text[mark.index : mark.index + 1] == "\t"
        remedy = "indent with spaces" if tab else "correct the file there"
        raise PolicyRefused(f"{where}{place}", f"is not YAML: {error.problem}", remedy) from error
    except (YAMLError, ValueError) as error:
        raise PolicyRefused(
            where, f"is not YAML: {str(error).splitlines()[0]}", "save it as plain UTF-8 text"
        ) from error


def _check_plain(text: str, where: str) -> None:
    # Aliases can expand without end, tags can make the parser raise anything, and deep nesting exceeds its recursion.
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        decorated = isinstance(event, NodeEvent) and (event.anchor or getattr(event, "tag", None))
        if decorated or depth > MAX_POLICY_DEPTH:
            problem = "has an anchor, alias or tag" if decorated else f"is nested deeper than {MAX_POLICY_DEPTH}"
            mark = event.start_mark
            raise PolicyRefused(
                f"{where}, line {mark.line + 1}, column {mark.column + 1}", problem, "write the value itself there"
            )
