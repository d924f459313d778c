"""Turn what a person typed into a model, or into a message: the field, the problem and the remedy."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from quiesce.errors import Refused

Model = TypeVar("Model", bound=BaseModel)
Place = Callable[[Sequence[int | str]], str]
"""Gives the place of a part of a document within it, such as ``, line 3, column 9``."""
NOWHERE: Place = lambda _path: ""  # noqa: E731 - a document without lines
# A message quotes a value up to this length.
MAX_SHOWN = 60
# Our words for pydantic's errors; ``_problem`` makes those for numbers, choices and our own checks.
WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a field that quiesce knows",
    "invalid_key": "must be text",
    "string_type": "must be text",
    "string_too_short": "must be {min_length} or more characters long",
    "string_too_long": "must be {max_length} or fewer characters long",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "too_short": "must have {min_length} or more entries, and has {actual_length}",
    "too_long": "must have {max_length} or fewer entries, and has {actual_length}",
}
NUMBERS = frozenset({"int_type", "greater_than_equal", "less_than_equal"})


@dataclass(frozen=True)
class Form:
    """The form of a text, for ``AfterValidator``: a pattern that must match all of it, and in words what to write."""

    pattern: str
    words: str

    def __call__(self, value: str) -> str:
        """Return a text that has the form."""
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"must be {self.words}")
        return value


class Advice(NamedTuple):
    """The remedies for one kind of document: ``missing`` for a missing field, ``otherwise`` for a bad value.

    ``home`` is the model in which a misplaced field may belong, ``name`` what people call the document.
    """

    name: str
    home: type[BaseModel]
    missing: str
    otherwise: str


class _Step(NamedTuple):
    """A part of an error's location that a person wrote, the models that it may belong to, and its field there."""

    part: int | str
    models: list[type[BaseModel]]
    field: FieldInfo | None = None


def validated(
    model: type[Model], data: Any, where: str, advice: Advice, refusal: type[Refused], place: Place = NOWHERE
) -> Model:
    """Read a document that a person wrote.

    Args:
        model: the model that it must fit.
        data: loaded from YAML or JSON.
        where: its place, which the message puts before the field; empty if the field is clear by itself.
        advice: the remedies for this kind of document.
        refusal: the error to raise.
        place: gives the line and column of a part, which the message puts behind ``where``.

    Raises:
        Refused: as ``refusal``, with the first field that is wrong, what is wrong with it and what to write instead.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # A misspelled field is reported as missing, too: the name that the person wrote helps more.
        first = min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        fields = {_path(_steps(detail, model)) for detail in error.errors()}
        more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
        steps = _steps(first, model)
        there = f"{where}{place([step.part for step in steps])}" if where else ""
        name = ": ".join(part for part in (there, _path(steps)) if part) or advice.name
        raise refusal(name, _problem(first, steps) + more, _remedy(first, steps, advice)) from error


def _steps(error: ErrorDetails, model: type[BaseModel]) -> list[_Step]:
    """Return the parts of an error's location that a person wrote.

    Pydantic's location also has the members of a union, and a mark for a mapping's key.
    """
    steps: list[_Step] = []
    models, keyed, last = [model], False, len(error["loc"]) - 1
    for number, part in enumerate(error["loc"]):
        field = next((fields[str(part)] for outer in models if str(part) in (fields := _fields(outer))), None)
        if isinstance(part, int) or keyed:
            steps.append(_Step(part, models))
            keyed = False
        elif field is not None:
            steps.append(_Step(part, models, field))
            models, keyed = list(_models_in(field.annotation)), get_origin(field.annotation) is dict
        elif number == last and error["type"] == "extra_forbidden":
            steps.append(_Step(part, models))
    return steps


def _path(steps: list[_Step]) -> str:
    return "".join(f"[{s.part}]" if isinstance(s.part, int) else f".{s.part}" for s in steps).lstrip(".")


def _problem(error: ErrorDetails, steps: list[_Step]) -> str:
    kind, context, field = error["type"], error.get("ctx", {}), steps[-1].field if steps else None
    if kind in ("missing", "extra_forbidden"):
        return WORDS[kind]
    if kind == "value_error":
        words = str(context["error"])
    elif kind == "literal_error":
        words = f"must be {_listed(_choices(field))}"
    elif kind in NUMBERS:
        words = f"must be a whole number {_bounds(field)}"
    else:
        words = WORDS.get(kind, "is not what belongs here").format_map(context)
    # A message quotes the value of a field, never a whole document.
    return f"{_shown(error['input'])}: {words}" if steps else words


def _remedy(error: ErrorDetails, steps: list[_Step], advice: Advice) -> str:
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return _instead_of(str(steps[-1].part), steps[-1].models[0], advice)
    if kind == "missing":
        return advice.missing
    if kind in ("string_type", "invalid_key") and not isinstance(value, list | dict | None):
        return "write it in quotes"
    if kind == "literal_error" and (near := get_close_matches(str(value).lower(), _choices(steps[-1].field), n=1)):
        return f"write '{near[0]}'"
    return advice.otherwise


def _instead_of(field: str, part: type[BaseModel], advice: Advice) -> str:
    """Return the remedy for an unknown field: move it where it belongs, correct its name, or remove it."""
    if homes := [home for home, model in _parts_of(advice.home).items() if field in _fields(model)]:
        # The outer ones: a field of a part inside of them may have the same name.
        homes = [f"'{home}'" for home in [h for h in homes if h in _fields(advice.home)] or homes]
        also = ", or to its top level" if field in _fields(advice.home) else ""
        return f"move it under {' or '.join(homes)} of the {advice.name}{also}"
    if field in _fields(advice.home):
        return f"move it to the top level of the {advice.name}"
    if near := get_close_matches(field.lower(), _fields(part), n=1):
        return f"write '{near[0]}'"
    if meant := _meant(field.lower(), advice.home):
        return f"write {meant}"
    return f"remove it; known here: {', '.join(_fields(part))}"


def _meant(field: str, home: type[BaseModel]) -> str:
    """Return what an unknown name at the top was probably meant for: a field of a part, or the value of a field."""
    inner = {f"{name}.{own}": own for name, model in _parts_of(home).items() for own in _fields(model)}
    if near := get_close_matches(field, inner.values(), n=1, cutoff=0.7):
        return f"'{next(path for path, own in inner.items() if own == near[0])}'"
    for name, each in _fields(home).items():
        if near := get_close_matches(field.replace("_", "-"), _choices(each), n=1, cutoff=0.8):
            return f"'{name}': '{near[0]}'"
    return ""


def _parts_of(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the models inside a model, outer ones first, by the field that holds each."""
    parts: dict[str, type[BaseModel]] = {}
    waiting = [model]
    for outer in waiting:
        for name, field in _fields(outer).items():
            for part in _models_in(field.annotation):
                parts.setdefault(name, part)
                waiting.append(part)
    return parts


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return a model's fields by the names that a person writes."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _choices(field: FieldInfo | None) -> list[str]:
    """Return the words that a field takes."""
    annotation = field.annotation if field else None
    literals = [part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal]
    return [str(choice) for literal in literals for choice in get_args(literal)]


def _listed(choices: list[str]) -> str:
    quoted = [f"'{choice}'" for choice in choices]
    return " or ".join(part for part in (", ".join(quoted[:-1]), quoted[-1]) if part)


def _bounds(field: FieldInfo | None) -> str:
    """Say which numbers a field takes; where it may be left out, its bounds are one level deeper."""
    inner = [given for part in get_args(field and field.annotation) for given in getattr(part, "__metadata__", ())]
    nested = [bound for given in inner for bound in getattr(given, "metadata", ())]
    found = [*(field.metadata if field else ()), *nested]
    least = next((f"from {bound.ge} " for bound in found if hasattr(bound, "ge")), "up ")
    return f"{least}to {next(bound.le for bound in found if hasattr(bound, 'le'))}"


def _shown(value: Any) -> str:
    words = _as_written(value)
    return words if len(words) <= MAX_SHOWN else f"{words[: MAX_SHOWN - 3]}..."


def _as_written(value: Any) -> str:
    """Return a value as YAML and JSON have it, not Python."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return repr(value)
        case list():
            return f"[{', '.join(map(_as_written, value))}]"
        case dict():
            return f"{{{', '.join(f'{_as_written(key)}: {_as_written(inner)}' for key, inner in value.items())}}}"
        case _:
            return str(value)
