# Stand-in for what changes services and instances of CIM, which PowerShell has on Windows only: Set-Service,
# Start-Service and Stop-Service of Microsoft.PowerShell.Management, and Set-CimInstance of CimCmdlets (learn.microsoft.com).
# It changes the files from which the stand-in for Get-CimInstance reads, and writes anything else to the machine's
# journal as refused, which fails the case.
Set-StrictMode -Version Latest
$Services = 'root/cimv2:Win32_Service'
# Set-Service's words, and Win32_Service's for the same.
$Modes = @{ Automatic = 'Auto'; Manual = 'Manual'; Disabled = 'Disabled' }

function Test-Fault([string]$Name) { Test-Path -LiteralPath (Join-Path $env:FAKE_WINDOWS "faults/$Name") }

function Deny([string]$What) {
    $line = ConvertTo-Json -Compress -InputObject @{ kind = 'refused'; program = 'WindowsChanges'; why = $What }
    [IO.File]::AppendAllText((Join-Path $env:FAKE_WINDOWS 'journal'), "$line`n")
    throw "refused: $What"
}

function Edit-File([string]$File, [scriptblock]$Change) {
    $path = Join-Path $env:FAKE_WINDOWS $File
    $content = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($path))
    & $Change $content
    [IO.File]::WriteAllText($path, (ConvertTo-Json -InputObject $content -Depth 20 -Compress))
}

function Edit-Service([string]$Name, [scriptblock]$Edit) {
    Edit-File 'condition.json' {
        $found = @($args[0].instances.$Services | Where-Object { $_.Name -eq $Name })
        if ($found.Count -ne 1) { throw "Cannot find any service with service name '$Name'." }
        & $Edit $found[0]
    }
}

function Set-Service {
    [CmdletBinding()]
    param([Parameter(Mandatory)][string]$Name, [Parameter(Mandatory)][string]$StartupType)
    if (-not $Modes.ContainsKey($StartupType)) { Deny "Set-Service -StartupType $StartupType" }
    if (Test-Fault 'services') { throw "Service '$Name' cannot be configured due to the following error: Access is denied" }
    # The fault of a service that another program sets back: Windows says nothing.
    if (-not (Test-Fault 'services set back')) { Edit-Service $Name { $args[0].StartMode = $Modes[$StartupType] } }
}

function Start-Service {
    [CmdletBinding()]
    param([Parameter(Mandatory)][string]$Name)
    Edit-Service $Name {
        if ($args[0].StartMode -ceq 'Disabled') { throw "Service '$Name' cannot be started on computer '.'." }
        $args[0].State = 'Running'
    }
}

function Stop-Service {
    [CmdletBinding()]
    param([Parameter(Mandatory)][string]$Name, [Parameter(Mandatory)][switch]$Force)
    Edit-Service $Name { $args[0].State = 'Stopped' }
}

function Set-CimInstance {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)][psobject]$InputObject, [Parameter(Mandatory)][Collections.IDictionary]$Property,
        [Parameter(Mandatory)][uint32]$OperationTimeoutSec
    )
    $limit = $Property['MaxSpace']
    if (($Property.Count -ne 1) -or ($limit -isnot [uint64])) {
        Deny "Set-CimInstance $(ConvertTo-Json -Compress -InputObject $Property)"
    }
    Edit-File 'shadows.json' {
        $volume = $InputObject.Volume.DeviceID
        $found = @($args[0].Win32_ShadowStorage | Where-Object { $_.Volume.DeviceID -eq $volume })
        if ($found.Count -ne 1) { Deny "Set-CimInstance of $volume" }
        $found[0].MaxSpace = $limit
    }
}
Export-ModuleMember -Function Set-Service, Start-Service, Stop-Service, Set-CimInstance
