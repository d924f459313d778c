# Stand-in for Get-Acl, which PowerShell has on Windows only: found through PSModulePath, loaded by PowerShell on first use.
Set-StrictMode -Version Latest
function Get-Acl {
    [CmdletBinding()]
    param([Parameter(Mandatory)][string]$LiteralPath)
    $sddl = & (Join-Path $env:FAKE_WINDOWS 'get-acl') $LiteralPath
    if ($LASTEXITCODE -ne 0) { throw "Get-Acl: $LiteralPath" }
    [pscustomobject]@{ Sddl = "$sddl" }
}
Export-ModuleMember -Function Get-Acl
