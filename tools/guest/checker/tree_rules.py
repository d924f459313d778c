"""What the guest's syntax trees must not contain: commands, parameters, types and members that 5.1 does not have.

The rules have a list of what is allowed (``windows_powershell``). They see neither names in variables nor splatted
parameters nor the type of an object whose method is called.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from tools.guest.checker.source_rules import Finding
from tools.guest.checker.tree import Node, Tree
from tools.guest.checker.windows_powershell import COMMANDS, COMMON_VALUES, METHODS, SYNTAX, TYPES, Command

# What of StdRegProv only reads the registry.
READING = frozenset({"GetStringValue", "EnumKey", "EnumValues"})
STREAMS = ("RedirectStandardOutput", "RedirectStandardError")
HEXADECIMAL = re.compile(r"[^{}]*(?:\{[0-9]:x[0-9]?\}[^{}]*)+")


def parse(tree: Tree) -> Iterator[Finding]:
    """Refuse what does not parse."""
    for line, text in tree.errors:
        yield Finding(line, "parse", text)


def syntax(tree: Tree) -> Iterator[Finding]:
    """Refuse syntax that is not on the list, and what PowerShell 7 added to syntax that is."""
    for node in tree.nodes:
        if node.kind not in SYNTAX:
            yield Finding(node.line, "syntax", f"{node.kind} is not on the list of syntax that the guest may use")
        if node["IsWorkflow"] or node["CleanBlock"] or node["GenericTypeArguments"]:
            yield Finding(node.line, "syntax", "workflow (5.1 only), clean block (7.3) or generic arguments (7.3)")
        if node["Operator"] == "DotDot" and node["Left"].kind == "StringConstantExpressionAst":
            yield Finding(node.line, "syntax", "a range of characters (6.0)")


def command(tree: Tree) -> Iterator[Finding]:
    """Refuse a command that is neither the script's own nor on the list in exactly this spelling."""
    for node, name in _calls(tree):
        if name not in COMMANDS:
            yield Finding(node.line, "command", f"{name}: not on the list, an alias, a program, or misspelt")


def call(tree: Tree) -> Iterator[Finding]:
    """Refuse ``.``, and ``&`` on anything but a script block or a program of Windows by its full path."""
    for node in tree.of_kind("CommandAst"):
        target = node["CommandElements"][0]
        known = (
            target.kind == "ScriptBlockExpressionAst"
            or target["VariablePath"] in _script_block_parameters(node)
            or target.text.startswith("(Get-SystemFile ")
        )
        if node["InvocationOperator"] == "Dot" or (node["InvocationOperator"] == "Ampersand" and not known):
            yield Finding(node.line, "call", f"{node.text}: neither a script block nor a program of Windows")


def parameter(tree: Tree) -> Iterator[Finding]:
    """Refuse parameters that 5.1 lacks or that are shortened, and arguments without a parameter's name."""
    for node, name in _calls(tree):
        known = COMMANDS.get(name)
        if known is None:
            continue
        given, positional = _arguments(node, known)
        allowed = {*known.values.split(), *known.switches.split(), *COMMON_VALUES}
        for unknown in [one for one in given if one not in allowed]:
            yield Finding(node.line, "parameter", f"{name} -{unknown}: not on the list, or shortened")
        if len(positional) > known.positional:
            yield Finding(node.line, "parameter", f"{name} takes {known.positional} arguments without a name here")
        if any(element["Splatted"] for element in positional):
            yield Finding(node.line, "parameter", f"{name} @...: splatted parameters cannot be checked")


def required(tree: Tree) -> Iterator[Finding]:
    """Refuse a call that leaves a parameter to a harmful default of 5.1."""
    for node, name in _calls(tree):
        known = COMMANDS.get(name)
        if known is None:
            continue
        given, _ = _arguments(node, known)
        if missing := [one for one in known.required.split() if one not in given]:
            yield Finding(node.line, "required", f"{name} without -{' -'.join(missing)}: {known.why}")


def cim_method(tree: Tree) -> Iterator[Finding]:
    """Refuse every CIM method but those that read the registry: others change the server, Defender blocks some."""
    for node, name in _calls(tree):
        words = {element["Value"] for element in node["CommandElements"][1:]}
        if name == "Invoke-CimMethod" and not ("StdRegProv" in words and words & READING):
            yield Finding(node.line, "cim-method", f"{node.text}: only StdRegProv's {', '.join(sorted(READING))}")


def process_start(tree: Tree) -> Iterator[Finding]:
    """Refuse Start-Process, which holds no handle in 5.1, and a process that keeps the caller's stdout or stderr."""
    for node, name in _calls(tree):
        if name == "Start-Process":
            words = "5.1 looks the process up later: of a quick one it knows neither start nor exit code"
            yield Finding(node.line, "process-start", words)
    for node in tree.of_kind("InvokeMemberExpressionAst"):
        if node["Expression"]["TypeName"] == "Diagnostics.Process" and node["Member"]["Value"] == "Start":
            missing = {"UseShellExecute", *STREAMS} - _members(_function(node), tree)
            if missing:
                words = f"set {', '.join(sorted(missing))}: a child with the agent's pipes keeps the SSM command open"
                yield Finding(node.line, "process-start", words)


def tls(tree: Tree) -> Iterator[Finding]:
    """Refuse a download that leaves TLS to Windows: 5.1 on 2012 R2 and 2016 offers S3 only what it no longer takes."""
    for node, name in _calls(tree):
        if name == "Invoke-WebRequest" and "SecurityProtocol" not in _members(_function(node), tree):
            yield Finding(node.line, "tls", "set [Net.ServicePointManager]::SecurityProtocol in the same function")


def type_name(tree: Tree) -> Iterator[Finding]:
    """Refuse a type that is not on the list in exactly this spelling."""
    named = tree.of_kind("TypeExpressionAst", "TypeConstraintAst", "AttributeAst")
    names = [(node, node["TypeName"].removesuffix("[]")) for node in named]
    names += [(node, node["CommandElements"][1]["Value"]) for node, name in _calls(tree) if name == "New-Object"]
    for node, name in names:
        if name not in TYPES:
            yield Finding(node.line, "type", f"{name} is not on the list of types of .NET Framework 4.6.2")


def number_format(tree: Tree) -> Iterator[Finding]:
    """Refuse ``-f`` except for hexadecimal numbers: it formats all else in the server's language."""
    for node in tree.of_kind("BinaryExpressionAst"):
        if node["Operator"] == "Format" and not HEXADECIMAL.fullmatch(str(node["Left"]["Value"])):
            yield Finding(node.line, "number-format", f"{node.text}: use ToString with an invariant culture")


def member(tree: Tree) -> Iterator[Finding]:
    """Refuse a static member, or a method, that is not on the list with this number of arguments."""
    for node in tree.of_kind("MemberExpressionAst", "InvokeMemberExpressionAst"):
        name = node["Member"]["Value"]
        count = len(node["Arguments"] or ())
        if node["Static"] and count not in _static_members(node).get(name, ()):
            yield Finding(node.line, "member", f"{node.text}: not on the list for .NET Framework 4.6.2")
        elif node.kind == "InvokeMemberExpressionAst" and not node["Static"] and count not in METHODS.get(name, ()):
            yield Finding(node.line, "member", f".{name} with {count} arguments is not on the list")


def catch(tree: Tree) -> Iterator[Finding]:
    """Refuse an empty catch: it hides the error."""
    for node in tree.of_kind("CatchClauseAst"):
        if not node["Body"]["Statements"]:
            yield Finding(node.line, "catch", "an empty catch")


def file_error(tree: Tree) -> Iterator[Finding]:
    """Refuse a catch of IOException alone: Windows may refuse a file that a scanner holds with "access denied"."""
    for node in tree.of_kind("CatchClauseAst"):
        types = {one["TypeName"] for one in node["CatchTypes"]}
        if "IO.IOException" in types and "UnauthorizedAccessException" not in types:
            yield Finding(node.line, "file-error", "catch [UnauthorizedAccessException] too: scanners cause it")


def script_parameters(tree: Tree) -> Iterator[Finding]:
    """Refuse script parameters that -File cannot pass in 5.1, and a script that ignores misspelt ones."""
    for block in tree.of_kind("ParamBlockAst"):
        if block["Parent"]["Parent"] is not None:
            continue
        if "CmdletBinding" not in [attribute["TypeName"] for attribute in block["Attributes"]]:
            yield Finding(block.line, "script-parameters", "without [CmdletBinding()] a misspelt parameter is ignored")
        for one in block["Parameters"]:
            if {attribute["TypeName"] for attribute in one["Attributes"]} - {"string", "int"} or not one["Attributes"]:
                yield Finding(one.line, "script-parameters", f"{one.text}: only [string] and [int], neither mandatory")


def strict_mode(tree: Tree) -> Iterator[Finding]:
    """Refuse a script that would go on after an error."""
    texts = {node.text for node in tree.of_kind("PipelineAst", "AssignmentStatementAst")}
    for wanted in ("Set-StrictMode -Version Latest", "$ErrorActionPreference = 'Stop'"):
        if wanted not in texts:
            yield Finding(1, "strict-mode", f"no {wanted}")


TREE_RULES: Mapping[str, Callable[[Tree], Iterator[Finding]]] = {
    "parse": parse,
    "syntax": syntax,
    "command": command,
    "call": call,
    "parameter": parameter,
    "required": required,
    "cim-method": cim_method,
    "process-start": process_start,
    "tls": tls,
    "type": type_name,
    "number-format": number_format,
    "member": member,
    "catch": catch,
    "file-error": file_error,
    "script-parameters": script_parameters,
    "strict-mode": strict_mode,
}


def tree_findings(tree: Tree) -> list[Finding]:
    """Check the syntax tree of a script; if it does not parse, return only the parser's errors."""
    if tree.errors:
        return list(parse(tree))
    return sorted(finding for rule in TREE_RULES.values() for finding in rule(tree))


def _calls(tree: Tree) -> Iterator[tuple[Node, str]]:
    """Yield the commands called by name, except for the script's own functions."""
    own = {node["Name"] for node in tree.of_kind("FunctionDefinitionAst")}
    for node in tree.of_kind("CommandAst"):
        name = node["CommandElements"][0]["Value"]
        if isinstance(name, str) and name not in own:
            yield node, name


def _arguments(node: Node, known: Command) -> tuple[set[str], list[Node]]:
    """Return the names of a command's parameters, and its arguments without a name."""
    given: set[str] = set()
    positional: list[Node] = []
    elements = iter(node["CommandElements"][1:])
    for element in elements:
        if element.kind != "CommandParameterAst":
            positional.append(element)
            continue
        given.add(element["ParameterName"])
        if element["Argument"] is None and element["ParameterName"] in {*known.values.split(), *COMMON_VALUES}:
            next(elements, None)
    return given, positional


def _static_members(node: Node) -> Mapping[str, tuple[int, ...]]:
    return TYPES.get(node["Expression"]["TypeName"] or "", {})


def _function(node: Node) -> Node | None:
    """Return the function around a node."""
    while node is not None and node.kind != "FunctionDefinitionAst":
        node = node["Parent"]
    return node


def _members(function: Node | None, tree: Tree) -> set[str]:
    """Return the names of the properties that a function mentions; those outside of functions for None."""
    named = tree.of_kind("MemberExpressionAst")
    return {str(node["Member"]["Value"]) for node in named if _function(node) is function}


def _script_block_parameters(node: Node) -> set[str]:
    """Return the names of the [scriptblock] parameters of the function around a node."""
    function = _function(node)
    if function is None:
        return set()
    inside = function["Body"]["ParamBlock"]
    parameters = [*(function["Parameters"] or ()), *((inside and inside["Parameters"]) or ())]
    return {
        one["Name"]["VariablePath"]
        for one in parameters
        if "scriptblock" in [attribute["TypeName"] for attribute in one["Attributes"]]
    }
