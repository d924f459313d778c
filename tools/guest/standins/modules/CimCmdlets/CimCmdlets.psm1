# Stand-in for CimCmdlets, which PowerShell has on Windows only: found through PSModulePath, loaded on first use.
# It has the classes and documented properties that the guest reads, typed as in their MOF (learn.microsoft.com).
# It writes anything else to the machine's journal as refused, which fails the case.
Set-StrictMode -Version Latest
$Properties = @{
    'root/cimv2:Win32_OperatingSystem' = @{ Version = [string]; Caption = [string]; ProductType = [uint32] }
    'root/cimv2:Win32_Volume' = @{
        DeviceID = [string]; Name = [string]; DriveLetter = [string]; DriveType = [uint32]
        FileSystem = [string]; Capacity = [uint64]; FreeSpace = [uint64]
    }
    'root/cimv2:Win32_ShadowCopy' = @{
        ID = [string]; SetID = [string]; VolumeName = [string]; DeviceObject = [string]; ProviderID = [string]
        Persistent = [bool]; ClientAccessible = [bool]; NoAutoRelease = [bool]; NoWriters = [bool]
    }
    'root/cimv2:Win32_ShadowStorage' = @{
        Volume = [psobject]; DiffVolume = [psobject]
        UsedSpace = [uint64]; AllocatedSpace = [uint64]; MaxSpace = [uint64]
    }
    'root/cimv2:Win32_DiskDrive' = @{ Index = [uint32]; SCSITargetId = [uint16] }
    'root/Microsoft/Windows/Storage:MSFT_Disk' = @{
        Number = [uint32]; SerialNumber = [string]; BusType = [uint16]; IsOffline = [bool]
        NumberOfPartitions = [uint32]; AllocatedSize = [uint64]
    }
    'root/Microsoft/Windows/Storage:MSFT_Partition' = @{ DiskNumber = [uint32]; AccessPaths = [string[]] }
}
$LocalMachine = [uint32]2147483650
$Key = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'

function Test-Fault([string]$Name) { Test-Path -LiteralPath (Join-Path $env:FAKE_WINDOWS "faults/$Name") }

function Deny([string]$What) {
    $line = ConvertTo-Json -Compress -InputObject @{ kind = 'refused'; program = 'CIM'; why = $What }
    [IO.File]::AppendAllText((Join-Path $env:FAKE_WINDOWS 'journal'), "$line`n")
    throw "refused: $What"
}

function Get-CimInstance {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)][string]$Namespace, [Parameter(Mandatory)][string]$ClassName,
        [Parameter(Mandatory)][uint32]$OperationTimeoutSec
    )
    if (Test-Fault 'cim') { throw 'The service cannot be started' }
    if ((Test-Fault 'storage') -and $Namespace -ceq 'root/Microsoft/Windows/Storage') { throw 'Invalid namespace' }
    if ((Test-Fault 'volumes') -and $ClassName -ceq 'Win32_Volume') { throw 'Provider load failure' }
    # Nothing is asked about a session's shadow copies while the application is held: CIM may take its time, or hang.
    if (($ClassName -ceq 'Win32_ShadowCopy') -and (Test-Path -LiteralPath (Join-Path $env:FAKE_WINDOWS 'application.frozen'))) {
        Deny "$ClassName while the application is held"
    }
    $types = $Properties["${Namespace}:$ClassName"]
    if ($null -eq $types) { Deny "${Namespace}:$ClassName" }
    $file = if ($ClassName.StartsWith('Win32_Shadow')) { 'shadows.json' } else { 'cim.json' }
    $all = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText((Join-Path $env:FAKE_WINDOWS $file)))
    foreach ($one in $all.$ClassName) {
        $instance = [ordered]@{}
        foreach ($name in $types.Keys) {
            $value = $one.$name
            $instance[$name] = $null
            if ($null -ne $value) { $instance[$name] = $value -as $types[$name] }
        }
        [pscustomobject]$instance
    }
}

function Invoke-CimMethod {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)][string]$Namespace, [Parameter(Mandatory)][string]$ClassName,
        [Parameter(Mandatory)][string]$MethodName, [Parameter(Mandatory)][Collections.IDictionary]$Arguments,
        [Parameter(Mandatory)][uint32]$OperationTimeoutSec
    )
    if (Test-Fault 'cim') { throw 'The service cannot be started' }
    $known = "${Namespace}:${ClassName}:$MethodName" -ceq 'root/cimv2:StdRegProv:GetStringValue'
    $tree = $Arguments['hDefKey']
    if (-not $known -or $tree -isnot [uint32] -or $tree -ne $LocalMachine -or $Arguments['sSubKeyName'] -cne $Key) {
        Deny "${Namespace}:${ClassName}:$MethodName $(ConvertTo-Json -Compress -InputObject $Arguments)"
    }
    if ($Arguments['sValueName'] -cne 'InstallationType') { Deny $Arguments['sValueName'] }
    [pscustomobject]@{ ReturnValue = [uint32]0; sValue = 'Server' }
}
Export-ModuleMember -Function Get-CimInstance, Invoke-CimMethod
