# Parses scripts with PowerShell's own parser and writes their syntax trees as JSON; it checks and runs nothing.
# A tree is the list of its nodes. A node has its kind, line and text, and the properties of its Ast class;
# a property that is a node is its index in the list. A token has its kind, start and end.
using namespace System.Management.Automation.Language
[CmdletBinding()]
param([Parameter(ValueFromRemainingArguments)][string[]]$Path)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function ConvertTo-Value($Value, $Places) {
    if ($Value -is [Ast]) { return @{ node = $Places[$Value] } }
    if ($Value -is [bool] -or $Value -is [int]) { return $Value }
    if ($Value -is [string] -or $Value -is [enum]) { return [string]$Value }
    if ($Value -is [ITypeName]) { return $Value.FullName }
    if ($Value -is [System.Management.Automation.VariablePath]) { return $Value.UserPath }
    if ($Value -is [System.Collections.IEnumerable]) {
        return @{ items = @($Value | ForEach-Object { ConvertTo-Value $_ $Places }) }
    }
}

function ConvertTo-Tree([string]$File) {
    $tokens = $null
    $errors = $null
    $script = [Parser]::ParseFile($File, [ref]$tokens, [ref]$errors)
    $nodes = @($script.FindAll({ $true }, $true))
    $places = [System.Collections.Generic.Dictionary[Ast, int]]::new()
    foreach ($node in $nodes) { $places[$node] = $places.Count }
    @{
        errors = @($errors | ForEach-Object { @{ line = $_.Extent.StartLineNumber; text = $_.Message } })
        tokens = @($tokens | ForEach-Object { , @([string]$_.Kind, $_.Extent.StartOffset, $_.Extent.EndOffset) })
        nodes  = @($nodes | ForEach-Object {
            $properties = @{ kind = $_.GetType().Name; line = $_.Extent.StartLineNumber; text = $_.Extent.Text }
            foreach ($property in $_.GetType().GetProperties()) {
                if ($property.Name -in 'Extent', 'StaticType') { continue }
                $value = ConvertTo-Value $property.GetValue($_) $places
                if ($null -ne $value) { $properties[$property.Name] = $value }
            }
            $properties
        })
    }
}

ConvertTo-Json -InputObject @($Path | ForEach-Object { ConvertTo-Tree $_ }) -Depth 8 -Compress
