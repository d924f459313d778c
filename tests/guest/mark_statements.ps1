# Writes the script at -Path with a mark before each of its statements: who reaches one for the first time appends its
# script, line and column to a file of its own in $env:FAKE_WINDOWS; a runspace of a shared process has one, too. Prints the marks as JSON: {"act:12:5": "the statement's first line"}.
[CmdletBinding()]
param([Parameter(Mandatory)][string]$Path, [Parameter(Mandatory)][string]$Marked)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$errors = $null
$tree = [Management.Automation.Language.Parser]::ParseFile($Path, [ref]$null, [ref]$errors)
if ($errors.Count) { throw "$errors" }
$blocks = $tree.FindAll({ $args[0].GetType().Name -in 'NamedBlockAst', 'StatementBlockAst' -and $args[0].Parent.GetType().Name -ne 'SubExpressionAst' }, $true)
$statements = foreach ($block in $blocks) { $block.Statements | Where-Object { $_.GetType().Name -ne 'FunctionDefinitionAst' } }
$text = [IO.File]::ReadAllText($Path)
$marks = [ordered]@{}
foreach ($statement in $statements | Sort-Object { $_.Extent.StartOffset } -Descending) {
    $place = "$([IO.Path]::GetFileNameWithoutExtension($Path)):$($statement.Extent.StartLineNumber):$($statement.Extent.StartColumnNumber)"
    $marks[$place] = $statement.Extent.Text.Split("`n")[0].Trim()
    $mark = "if (`$global:reached.Add('$place')) { [IO.File]::AppendAllText(`$global:marks, '$place ') };"
    $text = $text.Insert($statement.Extent.StartOffset, $mark)
}
# The first statement of the script, after its parameters.
$first = $tree.EndBlock.Statements[0].Extent.Text.Split("`n")[0]
$begin = '$global:reached = [Collections.Generic.HashSet[string]]::new();'
$begin += '$global:marks = "$env:FAKE_WINDOWS/marks.$PID.$([runspace]::DefaultRunspace.Id)";'
$start = [Array]::IndexOf($text.Split("`n"), ($text.Split("`n") | Where-Object { $_.EndsWith($first) } | Select-Object -First 1))
$lines = $text.Split("`n")
$lines[$start] = $begin + $lines[$start]
[IO.File]::WriteAllText($Marked, ($lines -join "`n"))
[Console]::Out.WriteLine((ConvertTo-Json -InputObject $marks -Compress))
