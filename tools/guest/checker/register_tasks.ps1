# Has the guest's own functions write the definitions of its two tasks, without a call of a Windows program.
# <Folder>/session.xml and watchdog.xml are then the files that the guest would pass to schtasks.exe.
[CmdletBinding()]
param([string]$Guest, [string]$Folder)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$script = [System.Management.Automation.Language.Parser]::ParseFile($Guest, [ref]$null, [ref]$null)
foreach ($function in $script.FindAll({ $args[0] -is [System.Management.Automation.Language.FunctionDefinitionAst] }, $false)) {
    . ([scriptblock]::Create($function.Extent.Text))
}
function Invoke-SystemProgram { 0 }
$env:SystemRoot = '/Windows'
$RunId = 'nightly-i-0123456789abcdef0'
$Attempt = '1'
Start-Runner @{ Folder = $Folder; Manifest = @{ limitSeconds = @{ before = 60; freeze = 120; session = 100800 } } }
