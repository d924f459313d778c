# Writes the script at -Path with a mark before each of its statements: a process that reaches one appends its line and
# column to a file of its own in $env:FAKE_WINDOWS. Prints the marks as JSON: {"12:5": "the statement's first line"}.
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
    $place = "$($statement.Extent.StartLineNumber):$($statement.Extent.StartColumnNumber)"
    $marks[$place] = $statement.Extent.Text.Split("`n")[0].Trim()
    $mark = "[IO.File]::AppendAllText(`"`$env:FAKE_WINDOWS/marks.`$PID`", '$place ');"
    $text = $text.Insert($statement.Extent.StartOffset, $mark)
}
[IO.File]::WriteAllText($Marked, $text)
[Console]::Out.WriteLine((ConvertTo-Json -InputObject $marks -Compress))
