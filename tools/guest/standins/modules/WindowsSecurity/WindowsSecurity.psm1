# Stand-in for Get-Acl, which PowerShell has on Windows only: found through PSModulePath, loaded by PowerShell on first use.
# The machine's folder acl has the security descriptors by inode, so that they stay with what is moved; a new folder has what it
# inherits.
Set-StrictMode -Version Latest

# A cmdlet takes its caller's preference; a module's function takes the global one.
function Get-Preference($Cmdlet) { $Cmdlet.SessionState.PSVariable.GetValue('ErrorActionPreference') }

function Get-Acl {
    [CmdletBinding()]
    param([Parameter(Mandatory)][string]$LiteralPath)
    $number = (Get-Item -LiteralPath $LiteralPath -Force).UnixStat.Inode
    $known = Join-Path $env:FAKE_WINDOWS "acl/$number"
    if (-not (Test-Path -LiteralPath $known)) { $known = Join-Path $env:FAKE_WINDOWS 'acl/inherited' }
    [pscustomobject]@{ Sddl = [IO.File]::ReadAllText($known) }
}

# Windows does not delete a folder in which a process has a file open, or which it works in; Linux would.
function Remove-Item {
    [CmdletBinding()]
    param([Parameter(Mandatory)][string]$LiteralPath, [switch]$Recurse, [switch]$Force)
    $open = if ($Recurse) { & (Join-Path $env:FAKE_WINDOWS 'open-files') $LiteralPath }
    if ($open) { throw [IO.IOException]"The process cannot access '$open' because another process uses it." }
    Microsoft.PowerShell.Management\Remove-Item @PSBoundParameters -ErrorAction (Get-Preference $PSCmdlet)
}

# With the fault `disk` there is no room for a copy: .NET's words for ERROR_DISK_FULL.
function Copy-Item {
    [CmdletBinding()]
    param([Parameter(Mandatory)][string]$LiteralPath, [Parameter(Mandatory)][string]$Destination)
    if (Test-Path -LiteralPath (Join-Path $env:FAKE_WINDOWS 'faults/disk')) {
        throw [IO.IOException]'There is not enough space on the disk.'
    }
    Microsoft.PowerShell.Management\Copy-Item @PSBoundParameters -ErrorAction (Get-Preference $PSCmdlet)
}
Export-ModuleMember -Function Copy-Item, Get-Acl, Remove-Item
