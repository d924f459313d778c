"""From what a person typed to a policy and a target, or to words that name the field, the problem and the remedy."""

from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent

from quiesce.backup.run import SCHEDULED_TIME_PATTERN
from quiesce.errors import PolicyRefused
from quiesce.policy.policy import InstanceId, Name, Policy, Scripts, Target, TargetSettings, VolumeChoice

# More than any policy needs, and little enough that reading it can't hurt.
MAX_POLICY_BYTES = 65_536
# Deeper than a policy goes, and far from what the parser's recursion bears.
MAX_POLICY_DEPTH = 20
EXAMPLE = '{"policy": "files-nightly", "instance_id": "i-0123456789abcdef0"}'

Model = TypeVar("Model", bound=BaseModel)


class BackupRequest(BaseModel):
    """The execution's input: which policy, by name or inline, and which of its targets.

    ``instance_id`` may be left out where an inline policy has one target.
    ``scheduled_time`` is set by the schedule and goes into the run id, so that a repeated delivery is the same run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: Name | dict[str, Any]
    instance_id: InstanceId | None = None
    scheduled_time: Annotated[str, StringConstraints(pattern=f"^{SCHEDULED_TIME_PATTERN}$", strict=True)] | None = None


# The parts of a policy by the field that holds them: what a misspelled field is compared with.
PARTS: dict[str, type[BaseModel]] = {
    "defaults": TargetSettings,
    "targets": Target,
    "volumes": VolumeChoice,
    "scripts": Scripts,
}
# Pydantic also names the members of a union, and that a mapping's key is meant.
NO_FIELDS = frozenset({"constrained-str", "dict[str,any]", "[key]", "scripts-on", "scripts-off", "vss-on", "vss-off"})


def read_request(raw: Any) -> BackupRequest:
    """Read an execution's input.

    Raises:
        PolicyRefused: with the field, what is wrong with it and what to write instead.
    """
    if not isinstance(raw, dict):
        raise PolicyRefused("input", f"is {type(raw).__name__}, not a JSON object", f"write for example {EXAMPLE}")
    request = _validated(BackupRequest, raw, "input")
    if request.instance_id is None and isinstance(request.policy, str):
        raise PolicyRefused(
            "instance_id", "is missing", f"say which of the policy's targets to back up, as in {EXAMPLE}"
        )
    return request


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
    policy = _validated(Policy, data, where)
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


def choose_target(policy: Policy, request: BackupRequest) -> TargetSettings:
    """Return the settings that hold for the server that is backed up.

    Raises:
        PolicyRefused: the policy has no such target, or has several and none is named.
    """
    known = [target.instance_id for target in policy.targets]
    if request.instance_id is None and len(known) > 1:
        raise PolicyRefused(
            "instance_id", f"is missing, and the policy has {len(known)} targets", f"name one of {', '.join(known)}"
        )
    instance_id = request.instance_id or known[0]
    settings = policy.settings_for(instance_id)
    if settings is None:
        raise PolicyRefused(
            "instance_id",
            f"{instance_id} is no target of policy '{policy.name}' (its targets: {', '.join(known)})",
            "correct the id, or add it to the policy's targets",
        )
    return settings


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
        remedy = "indent with spaces" if "'\\t'" in str(error.problem) else "correct the file there"
        raise PolicyRefused(f"{where}{place}", f"is not YAML: {error.problem}", remedy) from error
    except (YAMLError, ValueError) as error:
        raise PolicyRefused(
            where, f"is not YAML: {str(error).splitlines()[0]}", "save it as plain UTF-8 text"
        ) from error


def _check_plain(text: str, where: str) -> None:
    # Aliases can unfold without end, the parser's tags can raise anything, and deep nesting ends its recursion.
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


def _validated(model: type[Model], data: dict[str, Any], where: str) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # A misspelled field is missing, too: its own name says more.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        field, others = _path(first), len({_path(e) for e in error.errors()}) - 1
        more = f" (and {others} more)" if others else ""
        name = f"{where}: {field}" if where != "input" else field
        raise PolicyRefused(name, _problem(first) + more, _remedy(first, model)) from error


def _path(error: ErrorDetails) -> str:
    parts = [part for part in error["loc"] if part not in NO_FIELDS]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _problem(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        return "is not a field that quiesce knows"
    text = error["msg"].removeprefix("Value error, ")
    shown = repr(error["input"])
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'}: {text[0].lower()}{text[1:]}"  # noqa: PLR2004


def _remedy(error: ErrorDetails, model: type[BaseModel]) -> str:
    match error["type"]:
        case "extra_forbidden":
            holders = [part for part in error["loc"][:-1] if isinstance(part, str) and part not in NO_FIELDS]
            return _instead_of(str(error["loc"][-1]), PARTS[holders[-1]] if holders else model)
        case "missing":
            return (
                f"add it, as in {EXAMPLE}" if model is BackupRequest else "add it; docs/reference.md shows every field"
            )
        case "string_type":
            return "write it in quotes"
        case _:
            return "correct it; docs/reference.md has the bounds of every field"


def _instead_of(field: str, part: type[BaseModel]) -> str:
    if holders := [f"'{holder}'" for holder, model in PARTS.items() if field in _fields_of(model)]:
        return f"move it under {' or '.join(holders)} of the policy"
    if near := get_close_matches(field.lower(), _fields_of(part), n=1):
        return f"write '{near[0]}'"
    return f"remove it; known here: {', '.join(_fields_of(part))}"


def _fields_of(part: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in part.model_fields.items()]
