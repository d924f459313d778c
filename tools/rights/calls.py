"""Find which calls of AWS each function's code can make, by reading it: without a run, and without AWS.

Begins at ``functions/<step>/app.py`` and follows names, fields, properties and methods by their annotations, which mypy
holds the code to. A method is one of the class that is known at its place, or of a subclass that the function makes;
where none is known, or a protocol, one of any class of ``aws/`` that the function makes.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from botocore import xform_name
from botocore.session import Session

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "quiesce"
# What the stubs of boto3 call a client, and boto3 the service.
CLIENTS = {
    "DynamoDBClient": "dynamodb",
    "EBSClient": "ebs",
    "EC2Client": "ec2",
    "EventBridgeSchedulerClient": "scheduler",
    "IAMClient": "iam",
    "LambdaClient": "lambda",
    "S3Client": "s3",
    "SFNClient": "stepfunctions",
    "SNSClient": "sns",
    "SSMClient": "ssm",
}
BY_NAME = {"get_paginator", "generate_presigned_url"}


class Call(NamedTuple):
    """One place in the code where a client is used: the service, the operation's name in Python, file and line.

    ``function`` is the function that it stands in.
    """

    service: str
    operation: str
    place: str
    function: str = ""


@cache
def operations(service: str) -> frozenset[str]:
    """Return the operations of a service, as Python names them."""
    return frozenset(map(xform_name, Session().get_service_model(service).operation_names))


@dataclass
class Class:
    """A class of ours: its module, its bases, and its methods, properties and fields."""

    module: "Module"
    node: ast.ClassDef

    @cached_property
    def members(self) -> dict[str, ast.FunctionDef | ast.AnnAssign]:
        """What stands directly in the class, by name."""
        found: dict[str, ast.FunctionDef | ast.AnnAssign] = {}
        for each in self.node.body:
            if isinstance(each, ast.FunctionDef):
                found[each.name] = each
            elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                found[each.target.id] = each
        return found

    @cached_property
    def lines(self) -> list["Class"]:
        """This class and its bases of ours, nearest first."""
        bases = [self.module.resolve(base) for base in self.node.bases]
        return [self, *(line for base in bases if isinstance(base, Class) for line in base.lines)]

    @property
    def is_protocol(self) -> bool:
        """Whether other classes have its methods without naming it."""
        return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in self.node.bases)

    @cached_property
    def assigned(self) -> dict[str, ast.expr]:
        """What ``__init__`` gives fields that have no annotation."""
        init = self.members.get("__init__")
        pairs: list[tuple[ast.expr, ast.expr]] = []
        for node in ast.walk(init) if init else ():
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                    pairs += zip(targets, values, strict=True)
                case ast.Assign(targets=[target], value=value):
                    pairs.append((target, value))
        return {target.attr: value for target, value in pairs if isinstance(target, ast.Attribute)}


class Function(NamedTuple):
    """A function or method, with the class that it stands in."""

    module: "Module"
    node: ast.FunctionDef
    owner: Class | None


Known = Class | Function | str | None
"""What a name or expression is: a class (or one of it), a function, the service of a client, or not known."""


@dataclass
class Module:
    """One file."""

    path: Path
    tree: ast.Module = field(init=False)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.path.read_text())

    @cached_property
    def of_aws(self) -> bool:
        """Whether it is among those that call AWS."""
        return SOURCE / "aws" in self.path.parents

    @cached_property
    def names(self) -> dict[str, ast.AST]:
        """What stands at the top of the file, by name; what is imported under TYPE_CHECKING, too."""
        found: dict[str, ast.AST] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom | ast.Import):
                found |= {(alias.asname or alias.name): node for alias in node.names}
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node
        return found

    def resolve(self, node: ast.expr) -> Known:
        """Return what a name, a module's attribute or an annotation stands for."""
        match node:
            case ast.Constant(value=str(text)):
                return self.resolve(ast.parse(text, mode="eval").body)
            case ast.BinOp(left=left, op=ast.BitOr()):
                return self.resolve(left)
            case ast.Name(id=name):
                return CLIENTS.get(name) or self._named(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                module = self._module(name)
                return module._named(attribute) if module else None
        return None

    def _module(self, name: str) -> "Module | None":
        imported = self.names.get(name)
        return module_of(f"{imported.module}.{name}") if isinstance(imported, ast.ImportFrom) else None

    def _named(self, name: str) -> Known:
        match self.names.get(name):
            case ast.ClassDef() as node:
                return class_of(self, node)
            case ast.FunctionDef() as node:
                return Function(self, node, None)
            case ast.ImportFrom(module=str(module), names=aliases):
                original = next(alias.name for alias in aliases if (alias.asname or alias.name) == name)
                there = module_of(module)
                return there._named(original) if there else None
            case ast.Assign(value=value):
                return type_of(self, value, {})
        return None


@cache
def module_of(name: str) -> Module | None:
    """Return a module of ours, None for any other."""
    path = ROOT / "src" / Path(*name.split("."))
    found = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    return Module(found) if name.startswith("quiesce.") and found.exists() else None


_classes: dict[tuple[Path, str], Class] = {}


def class_of(module: Module, node: ast.ClassDef) -> Class:
    """Return one object for each class."""
    return _classes.setdefault((module.path, node.name), Class(module, node))


@dataclass
class Reach:
    """What one function's code can reach."""

    calls: set[Call] = field(default_factory=set)
    made: set[tuple[Path, str]] = field(default_factory=set)
    seen: set[tuple[Path, str, int]] = field(default_factory=set)
    asked: set[tuple[Path, str, str]] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    """What methods are called with as their first argument, if it stands there as text: ``ask:freeze``."""

    @property
    def functions(self) -> set[str]:
        """The names of the functions that are reached."""
        return {name.rpartition(".")[2] for _, name, _ in self.seen}

    def module(self, module: Module) -> "Reach":
        """Follow a file's own statements, and the functions that stand in it, as Lambda calls them."""
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef):
                self.function(Function(module, node, None))
            else:
                self._follow(module, node, {})
        return self

    def function(self, function: Function) -> None:
        """Follow the body of a function or method, once."""
        owner = function.owner.node.name if function.owner else ""
        key = (function.module.path, f"{owner}.{function.node.name}", function.node.lineno)
        if key in self.seen:
            return
        self.seen.add(key)
        arguments = function.node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        local: dict[str, Known] = {a.arg: function.module.resolve(a.annotation) for a in named if a.annotation}
        if function.owner and named and named[0].arg in ("self", "cls"):
            local[named[0].arg] = function.owner
        self._follow(function.module, function.node, local, function.node.name)

    def _follow(self, module: Module, top: ast.AST, local: dict[str, Known], within: str = "") -> None:
        for node in _in_order(top):
            local |= _given(module, node, local)
            match node:
                case ast.Attribute(value=value, attr=attribute):
                    self._use(module, node, type_of(module, value, local), attribute, within)
                    self._reach(module.resolve(node))
                case ast.Name(id=name) if name not in local:
                    self._reach(module.resolve(node))
                case ast.Call(func=ast.Attribute(value=value, attr=method), args=[ast.Constant(value=str(name)), *_]):
                    self.words.add(f"{method}:{name}")
                    service = type_of(module, value, local)
                    if isinstance(service, str) and method in BY_NAME:
                        self._call(module, node, service, name, within)

    def _use(self, module: Module, node: ast.Attribute, of: Known, attribute: str, within: str) -> None:
        if isinstance(of, str) and attribute in operations(of):
            self._call(module, node, of, attribute, within)
        elif isinstance(of, Class) and not of.is_protocol:
            self._method(of, attribute)
        else:
            # It may be one of the services' classes that the function makes.
            self.loose.add(attribute)
            for made in [_classes[key] for key in self.made]:
                self._loosely(made)

    def _call(self, module: Module, node: ast.AST, service: str, operation: str, within: str) -> None:
        place = f"{module.path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        self.calls.add(Call(service, operation, place, within))

    def _reach(self, known: Known) -> None:
        if isinstance(known, Function):
            self.function(known)
        elif isinstance(known, Class) and (known.module.path, known.node.name) not in self.made:
            self.made.add((known.module.path, known.node.name))
            for name in ("__init__", "__post_init__"):
                self._method(known, name)
            self._loosely(known)
            # A method that was asked of a base may be this class's.
            for base in known.lines[1:]:
                for path, class_name, method in list(self.asked):
                    if (path, class_name) == (base.module.path, base.node.name):
                        self._own(known, method)

    def _method(self, of: Class, name: str) -> None:
        self.asked.add((of.module.path, of.node.name, name))
        self._own(of, name)
        for path, class_name in list(self.made):
            made = _classes[path, class_name]
            if of in made.lines:
                self._own(made, name)

    def _loosely(self, made: Class) -> None:
        if made.module.of_aws:
            for name in made.members.keys() & self.loose:
                self._own(made, name)

    def _own(self, of: Class, name: str) -> None:
        for line in of.lines:
            if isinstance(node := line.members.get(name), ast.FunctionDef):
                self.function(Function(line.module, node, line))
                return


def type_of(module: Module, node: ast.expr, local: dict[str, Known]) -> Known:
    """Return what an expression is an instance of, or what it names."""
    match node:
        case ast.Name(id=name):
            return local[name] if name in local else module.resolve(node)
        case ast.Attribute(value=value, attr=attribute):
            of = type_of(module, value, local)
            return _field(of, attribute) if isinstance(of, Class) else module.resolve(node)
        case ast.Call(func=called):
            found = type_of(module, called, local)
            if isinstance(found, Function):
                return found.module.resolve(found.node.returns) if found.node.returns else None
            return found
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            return type_of(module, value, local)
    return None


def _field(of: Class, attribute: str) -> Known:
    for line in of.lines:
        match line.members.get(attribute):
            case ast.AnnAssign(annotation=annotation):
                return line.module.resolve(annotation)
            case ast.FunctionDef(decorator_list=decorators, returns=ast.expr() as returns) as node:
                if any(isinstance(d, ast.Name) and d.id in ("property", "cached_property") for d in decorators):
                    return line.module.resolve(returns)
                return Function(line.module, node, line)
        if attribute in line.assigned:
            init = line.members["__init__"]
            assert isinstance(init, ast.FunctionDef)
            local: dict[str, Known] = {a.arg: line.module.resolve(a.annotation) for a in init.args.args if a.annotation}
            return type_of(line.module, line.assigned[attribute], local)
    return None


def _given(module: Module, node: ast.AST, local: dict[str, Known]) -> dict[str, Known]:
    """Return what a statement gives variables."""
    match node:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.NamedExpr(target=ast.Name(id=name), value=value)
        ):
            return {name: type_of(module, value, local)}
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            pairs = zip(names, values, strict=False)
            return {n.id: type_of(module, v, local) for n, v in pairs if isinstance(n, ast.Name)}
    return {}


def _in_order(top: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes below in the order of the text, so that a variable is known before it is used."""
    for child in ast.iter_child_nodes(top):
        # A comprehension's variable is known before its element.
        yield child
        yield from _in_order(child)


@cache
def reach_of(step: str) -> Reach:
    """Return what the code of ``functions/<step>/app.py`` can reach, with every call of AWS that it can make."""
    return Reach().module(Module(ROOT / "functions" / step / "app.py"))


@cache
def all_calls() -> set[str]:
    """Return every place in ``aws/`` where a client is used, whoever reaches it."""
    named = frozenset().union(*(operations(service) for service in CLIENTS.values()))
    found = set()
    for path in (SOURCE / "aws").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in named and not _is_ours(node.value):
                found.add(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def _is_ours(receiver: ast.expr) -> bool:
    """Whether this is a field that holds no client: the table's items."""
    return isinstance(receiver, ast.Attribute) and receiver.attr == "_items"
