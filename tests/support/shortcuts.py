"""What moto and botocore work out anew for each request, though it never changes: here it is worked out once.

A run of a state machine is up to 200 requests; these shortcuts halve what each of them costs. Each takes the place of
a private name, so `tests/statemachine/test_shortcuts.py` compares it with the original in a backup and a recovery, and
fails when one of them is not used any more. moto and botocore are pinned.
"""

import pickle
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from botocore import parsers, useragent
from moto import backend_index
from moto.core import base_backend, responses, serialize
from moto.core.constants import MISSING
from moto.ec2.models import tags
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.eval import states
from moto.stepfunctions.parser.asl.eval.event import event_manager
from moto.stepfunctions.parser.asl.utils import json_path

# The services that the functions and the tests ask; moto looks for a request's among 170, by their patterns in turn.
ASKED_FIRST = {"dynamodb", "ec2", "s3", "sns", "stepfunctions"}
XML_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


class Shortcut(NamedTuple):
    """A function of another's module or class, by its name there, and what makes the quick one of the original."""

    owner: Any
    name: str
    quick_of: Callable[[Any], Any]


def _asked_first(original: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return sorted(original, key=lambda service_and_pattern: service_and_pattern[0] not in ASKED_FIRST)


def _urls(original: property) -> property:
    """The addresses of a service depend on its backend's class alone; S3 loads a module anew to tell them."""
    known: dict[type, Any] = {}

    def urls(backend: Any) -> Any:
        if type(backend) not in known:
            known[type(backend)] = original.__get__(backend)
        return known[type(backend)]

    return property(urls)


class _Places(NamedTuple):
    """Under which names objects of a class may hold a member of a response, how they are asked, what is made of it."""

    names: tuple[str, ...]
    ask: Callable[[Any, str, Any], Any]
    change: Callable[[Any], Any] | None


def _get_value(original: Callable[..., Any]) -> Callable[..., Any]:
    """Where a member of a response may be found depends on its shape and on the object's class alone."""
    known: dict[tuple[Any, str, type], _Places] = {}

    def get_value(serializer: Any, value: Any, key: str, shape: Any) -> Any:
        if type(serializer._value_picker) is not serialize.XFormedAttributePicker:
            return original(serializer, value, key, shape)
        at = (shape, key, type(value))
        if at not in known:
            known[at] = _places(serializer, value, key, shape)
        names, ask, change = known[at]
        for name in names:
            if (found := ask(value, name, MISSING)) is not MISSING:
                break
        else:
            found = None
        return change(found) if change else found

    return get_value


def _places(serializer: Any, value: Any, key: str, shape: Any) -> _Places:
    picker, path = serializer._value_picker, ".".join(serializer.path)
    model = serializer.operation_model
    context = serialize.AttributePickerContext(value, key, shape, model, model.service_model, path)
    changes = [change for end, change in picker.response_transformers.items() if f"{path}.{key}".endswith(end)]
    names = tuple(dict.fromkeys(picker.get_possible_keys(context)))
    ask = serialize.get_value
    if not any("." in name for name in names):
        ask = dict.get if type(value) is dict else ask if hasattr(value, "__getitem__") else getattr
    return _Places(names, ask, changes[0] if changes else None)


def _describe_tags(original: Callable[..., Any]) -> Callable[..., Any]:
    """Whose tags are asked for by its id has them under its id; moto looks at those of all others, too."""

    def describe_tags(backend: Any, filters: dict[str, list[str]] | None = None) -> Any:
        match filters:
            case {"resource-id": [str(one)], **others} if not others and one.replace("-", "").isalnum():
                own = {one: backend.tags[one]} if one in backend.tags else {}
                return original(SimpleNamespace(tags=own, VALID_TAG_FILTERS=backend.VALID_TAG_FILTERS), filters)
        return original(backend, filters)

    return describe_tags


def _xml(original: Callable[..., str]) -> Callable[..., str]:
    """EC2's answers as XML, without the detours by a SAX generator."""

    def serialize_body(serializer: Any, body: Any) -> str:
        return original(serializer, body) if serializer.pretty_print else XML_DECLARATION + "".join(_elements(body))

    return serialize_body


def _elements(members: dict[str, Any]) -> Any:
    for name, value in members.items():
        for each in value if isinstance(value, list) else [value]:
            attributes = ""
            if isinstance(each, dict):
                attributes = "".join(f" {k[1:]}={quoteattr(str(v))}" for k, v in each.items() if k.startswith("@"))
                content = "".join(_elements({k: v for k, v in each.items() if not k.startswith("@")}))
            else:
                content = _text(each)
            yield f"<{name}{attributes}>{content}</{name}>" if content else f"<{name}{attributes}/>"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else escape(str(value))


class _Copies:
    """The module `copy` for state documents, which are plain data."""

    def __init__(self, _original: Any) -> None:
        pass

    @staticmethod
    def deepcopy(value: Any) -> Any:
        """Copy by pickle, in C."""
        return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


SHORTCUTS = (
    Shortcut(backend_index, "backend_url_patterns", _asked_first),
    Shortcut(base_backend.BaseBackend, "urls", _urls),
    Shortcut(responses, "method_names_from_class", cache),
    Shortcut(serialize.ResponseSerializer, "get_value", _get_value),
    Shortcut(tags.TagBackend, "describe_tags", _describe_tags),
    Shortcut(serialize.EC2Serializer, "_serialize_body", _xml),
    Shortcut(json_path, "parse", cache),
    Shortcut(result_path, "parse", cache),
    Shortcut(parsers, "DEFAULT_TIMESTAMP_PARSER", cache),
    Shortcut(useragent.UserAgentString, "to_string", lambda _original: lambda _self: "Boto3/tests"),
    *(
        Shortcut(module, "copy", _Copies)
        for module in (states, event_manager, string_expression, result_path, execute_state)
    ),
)


ORIGINALS: dict[tuple[Any, str], Any] = {}


def install() -> None:
    """Take the shortcuts, for the whole process; clients that were built before keep their parser of timestamps."""
    for owner, name, quick_of in SHORTCUTS:
        if (owner, name) not in ORIGINALS:
            original = ORIGINALS[owner, name] = owner.__dict__[name]
            setattr(owner, name, quick_of(original))
