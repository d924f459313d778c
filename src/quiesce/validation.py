"""Turn what a person typed into a model, or into a message: the field, the problem and the remedy."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from quiesce.errors import Refused

Model = TypeVar("Model", bound=BaseModel)
# A message quotes a value up to this length.
MAX_SHOWN = 60


class Advice(NamedTuple):
    """The remedies for one kind of document: ``missing`` for a missing field, ``otherwise`` for a bad value.

    ``home`` is the model in whose parts a misplaced field may belong, ``name`` what people call the document.
    """

    name: str
    home: type[BaseModel]
    missing: str
    otherwise: str


def validated(model: type[Model], data: Any, where: str, advice: Advice, refusal: type[Refused]) -> Model:
    """Read a document that a person wrote.

    Args:
        model: the model that it must fit.
        data: loaded from YAML or JSON.
        where: its place, which the message puts before the field; empty if the field is clear by itself.
        advice: the remedies for this kind of document.
        refusal: the error to raise.

    Raises:
        Refused: as ``refusal``, with the first field that is wrong, what is wrong with it and what to write instead.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # A misspelled field is reported as missing, too: the name that the person wrote helps more.
        first = min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        fields = {_path(detail, model) for detail in error.errors()}
        more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
        name = ": ".join(part for part in (where, _path(first, model)) if part)
        raise refusal(name, _problem(first) + more, _remedy(first, model, advice)) from error


def _steps(error: ErrorDetails, model: type[BaseModel]) -> Iterator[tuple[int | str, list[type[BaseModel]]]]:
    """Yield each part of an error's location that a person wrote, with the models that it may belong to.

    Pydantic's location also has the members of a union, and a mark for a mapping's key.
    """
    models, keyed, last = [model], False, len(error["loc"]) - 1
    for number, part in enumerate(error["loc"]):
        if isinstance(part, int):
            yield part, models
            keyed = False
            continue
        annotation = next((fields[part] for outer in models if part in (fields := _annotations(outer))), None)
        if annotation is not None:
            yield part, models
            models, keyed = list(_models_in(annotation)), get_origin(annotation) is dict
        elif keyed or (number == last and error["type"] == "extra_forbidden"):
            yield part, models
            keyed = False


def _path(error: ErrorDetails, model: type[BaseModel]) -> str:
    parts = [part for part, _ in _steps(error, model)]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _problem(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        return "is not a field that quiesce knows"
    text = error["msg"].removeprefix("Value error, ")
    shown = repr(error["input"])
    return f"{shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 3] + '...'}: {text[0].lower()}{text[1:]}"


def _remedy(error: ErrorDetails, model: type[BaseModel], advice: Advice) -> str:
    match error["type"]:
        case "extra_forbidden":
            field, models = list(_steps(error, model))[-1]
            return _instead_of(str(field), models[0], advice)
        case "missing":
            return advice.missing
        case "string_type":
            return "write it in quotes"
        case _:
            return advice.otherwise


def _instead_of(field: str, part: type[BaseModel], advice: Advice) -> str:
    """Return the remedy for an unknown field: move it where it belongs, correct its name, or remove it."""
    if homes := [f"'{home}'" for home, model in _parts_of(advice.home).items() if field in _annotations(model)]:
        return f"move it under {' or '.join(homes)} of the {advice.name}"
    if near := get_close_matches(field.lower(), _annotations(part), n=1):
        return f"write '{near[0]}'"
    return f"remove it; known here: {', '.join(_annotations(part))}"


def _parts_of(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the models inside a model, outer ones first, by the field that holds each."""
    parts: dict[str, type[BaseModel]] = {}
    waiting = [model]
    for outer in waiting:
        for field, annotation in _annotations(outer).items():
            for part in _models_in(annotation):
                parts.setdefault(field, part)
                waiting.append(part)
    return parts


def _annotations(model: type[BaseModel]) -> dict[str, Any]:
    """Return the types of a model's fields by the names that a person writes."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
