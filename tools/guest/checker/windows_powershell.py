"""The allow list: what the guest may use of Windows PowerShell 5.1 and .NET Framework 4.6.2.

The rules refuse everything else on purpose: look it up first, then add it.
Commands: learn.microsoft.com/powershell/module/<module>/<command>?view=powershell-5.1, section Syntax.
Types: learn.microsoft.com/dotnet/api/<type>?view=netframework-4.6.2; members with the numbers of arguments they take.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Command(NamedTuple):
    """A command of 5.1: parameters with a value, switches, and how many arguments may have no name.

    ``required`` are the parameters whose default in 5.1 is harmful; ``why`` says how.
    """

    values: str = ""
    switches: str = ""
    positional: int = 0
    required: str = ""
    why: str = ""


_LITERAL = "without -LiteralPath, [ ] * ? in a path are wildcards"
_WEB = "without -UseBasicParsing 5.1 needs Internet Explorer, without -TimeoutSec it waits forever"

_CIM = "without -OperationTimeoutSec a hanging CIM blocks the caller forever"

COMMANDS: Mapping[str, Command] = {
    "Add-Type": Command("AssemblyName"),
    "ConvertFrom-Json": Command("InputObject", required="InputObject", why="5.1 passes an array on as one object"),
    "ConvertTo-Json": Command(
        "InputObject Depth",
        "Compress",
        required="InputObject Depth Compress",
        why="a pipeline unwraps an array of one, and 5.1 silently cuts at depth 2",
    ),
    "Copy-Item": Command("LiteralPath Destination", "Force", required="LiteralPath", why=_LITERAL),
    "ForEach-Object": Command(positional=1),
    "Get-Acl": Command("LiteralPath", required="LiteralPath", why=_LITERAL),
    "Get-ChildItem": Command("LiteralPath", "File Force Recurse", required="LiteralPath", why=_LITERAL),
    "Get-CimInstance": Command("Namespace ClassName OperationTimeoutSec", required="OperationTimeoutSec", why=_CIM),
    "Get-FileHash": Command("LiteralPath Algorithm", required="LiteralPath", why=_LITERAL),
    "Get-Item": Command("LiteralPath", "Force", required="LiteralPath", why=_LITERAL),
    "Get-Module": Command(
        "FullyQualifiedName",
        "ListAvailable",
        required="ListAvailable FullyQualifiedName",
        why="without them it lists what is loaded, or reads every module of the server",
    ),
    "Get-Process": Command("Id"),
    "Invoke-CimMethod": Command(
        "Namespace ClassName MethodName Arguments OperationTimeoutSec", required="OperationTimeoutSec", why=_CIM
    ),
    "Invoke-WebRequest": Command(
        "Uri OutFile Method InFile TimeoutSec", "UseBasicParsing", required="UseBasicParsing TimeoutSec", why=_WEB
    ),
    "Join-Path": Command(positional=2),
    "New-Item": Command("ItemType Path", "Force", required="ItemType Path", why="a path without its name is ambiguous"),
    "New-Object": Command(positional=2),
    "Register-ScheduledTask": Command(
        "TaskName TaskPath Xml",
        "Force",
        required="TaskName TaskPath Xml Force",
        why="it would ask, or make another task",
    ),
    "Remove-Item": Command("LiteralPath", "Recurse Force", required="LiteralPath", why=_LITERAL),
    "Set-CimInstance": Command("InputObject Property OperationTimeoutSec", required="OperationTimeoutSec", why=_CIM),
    "Set-Service": Command("Name StartupType", required="Name StartupType", why="it would change something else"),
    "Set-StrictMode": Command("Version", required="Version", why="StrictMode without a version is an error"),
    "Select-Object": Command("First Property"),
    "Add-Member": Command("NotePropertyName NotePropertyValue", "Force"),
    "Sort-Object": Command("Property", "Unique Descending"),
    "Start-Service": Command("Name", required="Name", why="a display name is localised"),
    "Start-Sleep": Command("Milliseconds Seconds"),
    "Stop-Service": Command("Name", "Force NoWait", required="Name", why="a display name is localised"),
    "Test-Path": Command("LiteralPath PathType", required="LiteralPath", why=_LITERAL),
    "Where-Object": Command(positional=1),
}

# Parameters that every advanced command of 5.1 has and that the guest may use.
COMMON_VALUES = frozenset({"ErrorAction"})

# A type as the guest spells it, and its static members; a type without members may be named, cast to or caught.
TYPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "array": {"IndexOf": (2,)},
    "bool": {},
    "char": {},
    "CmdletBinding": {},
    "Console": {"Error": (0,), "Out": (0,)},
    "Convert": {"ToBase64String": (1,)},
    "datetime": {"UtcNow": (0,)},
    "Diagnostics.Process": {"GetCurrentProcess": (0,), "Start": (1,)},
    "Diagnostics.ProcessStartInfo": {},
    "Diagnostics.Stopwatch": {"StartNew": (0,)},
    "double": {},
    "Environment": {"GetEnvironmentVariable": (2,), "TickCount": (0,)},
    "guid": {"NewGuid": (0,)},
    "Globalization.CultureInfo": {"InvariantCulture": (0,)},
    "int": {},
    "IO.BinaryReader": {},
    "IO.Compression.CompressionMode": {"Compress": (0,)},
    "IO.Compression.GZipStream": {},
    "IO.Compression.ZipArchive": {},
    "IO.Directory": {
        "CreateDirectory": (1,),
        "GetDirectories": (1,),
        "GetLastWriteTimeUtc": (1,),
        "Move": (2,),
        "SetLastWriteTimeUtc": (2,),
    },
    "IO.DirectoryNotFoundException": {},
    "IO.DriveInfo": {},
    "IO.File": {
        "AppendAllText": (3,),
        "Delete": (1,),
        "Move": (2,),
        "Open": (4,),
        "ReadAllText": (1,),
        "Replace": (3,),
        "WriteAllText": (3,),
    },
    "IO.FileStream": {},
    "IO.FileAttributes": {"ReparsePoint": (0,)},
    "IO.IOException": {},
    "IO.MemoryStream": {},
    "IO.Path": {
        "GetExtension": (1,),
        "GetFileName": (1,),
        "GetFileNameWithoutExtension": (1,),
        "PathSeparator": (0,),
    },
    "IO.Stream": {"Null": (0,)},
    "IO.StreamReader": {},
    "long": {},
    "Management.Automation.Language.ConstantExpressionAst": {},
    "Management.Automation.Language.Parser": {"ParseFile": (3,)},
    "Management.Automation.Language.ScriptBlockExpressionAst": {},
    "Management.Automation.Language.TypeDefinitionAst": {},
    "math": {"Abs": (1,), "Floor": (1,), "Max": (2,), "Min": (2,)},
    "Net.ServicePointManager": {"SecurityProtocol": (0,)},
    "Net.WebException": {},
    "Net.WebRequest": {"Create": (1,)},
    "NullString": {"Value": (0,)},
    "ordered": {},
    "pscustomobject": {},
    "ref": {},
    "regex": {"Match": (2,), "Matches": (2,), "Replace": (3,)},
    "scriptblock": {"Create": (1,)},
    "Security.SecurityElement": {"Escape": (1,)},
    "StringComparison": {"OrdinalIgnoreCase": (0,)},
    "string": {},
    "Text.Encoding": {"ASCII": (0,), "GetEncoding": (1,), "Unicode": (0,)},
    "uint32": {},
    "uint64": {},
    "UnauthorizedAccessException": {},
}

# Methods of objects, by name alone: the parser does not know the objects' types.
METHODS: Mapping[str, tuple[int, ...]] = {
    "Add": (2,),
    "AddSeconds": (1,),
    "CopyTo": (1,),
    "CopyToAsync": (1,),
    "CreateEntry": (1,),
    "Dispose": (0,),
    "Find": (2,),
    "Flush": (1,),
    "GetBytes": (1,),
    "GetString": (1,),
    "GetResponse": (0,),
    "GetResponseStream": (0,),
    "Kill": (0,),
    "Open": (0,),
    "ReadBytes": (1,),
    "ReadToEnd": (0,),
    "Replace": (2,),
    "StartsWith": (2,),
    "Substring": (1,),
    "ToArray": (0,),
    "ToLowerInvariant": (0,),
    "ToString": (2,),
    "ToUniversalTime": (0,),
    "Wait": (1,),
    "WaitForExit": (1,),
    "Write": (3,),
    "WriteLine": (1,),
}

# The syntax of 5.1 that the guest may use; classes, workflows and 7's operators are not on the list.
_SYNTAX = """
    ArrayExpressionAst ArrayLiteralAst AssignmentStatementAst AttributeAst AttributedExpressionAst BinaryExpressionAst
    BreakStatementAst CatchClauseAst CommandAst CommandExpressionAst CommandParameterAst ConstantExpressionAst
    ContinueStatementAst ConvertExpressionAst ExitStatementAst ExpandableStringExpressionAst ForEachStatementAst
    ForStatementAst FunctionDefinitionAst HashtableAst IfStatementAst IndexExpressionAst InvokeMemberExpressionAst
    MemberExpressionAst NamedAttributeArgumentAst NamedBlockAst ParamBlockAst ParameterAst ParenExpressionAst
    PipelineAst ReturnStatementAst ScriptBlockAst ScriptBlockExpressionAst StatementBlockAst
    StringConstantExpressionAst SubExpressionAst SwitchStatementAst ThrowStatementAst TryStatementAst
    TypeConstraintAst TypeExpressionAst UnaryExpressionAst VariableExpressionAst WhileStatementAst
"""
SYNTAX = frozenset(_SYNTAX.split())
