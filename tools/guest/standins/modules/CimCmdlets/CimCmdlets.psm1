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
# What examine asks for: of a server's condition. A class without an entry there has no namespace on the server.
$Conditions = @{
    'root/cimv2:Win32_Service' = @{ Name = [string]; State = [string]; StartMode = [string] }
    'root/cimv2:Win32_ShadowProvider' = @{ ID = [string]; Name = [string] }
    'root:__NAMESPACE' = @{ Name = [string] }
    'root/MSCluster:MSCluster_Cluster' = @{ Name = [string] }
    'root/MSCluster:MSCluster_Node' = @{ Name = [string] }
    'root/MSCluster:MSCluster_ResourceGroup' = @{
        Name = [string]; OwnerNode = [string]; State = [uint32]; GroupType = [uint32]
    }
    'root/cimv2/Security:__NAMESPACE' = @{ Name = [string] }
    'root/Microsoft/Windows:__NAMESPACE' = @{ Name = [string] }
    'root/cimv2/Security/MicrosoftVolumeEncryption:Win32_EncryptableVolume' = @{
        DriveLetter = [string]; DeviceID = [string]; ConversionStatus = [uint32]
    }
    'root/Microsoft/Windows/Defender:MSFT_MpPreference' = @{
        AttackSurfaceReductionRules_Ids = [string[]]; AttackSurfaceReductionRules_Actions = [byte[]]
        EnableControlledFolderAccess = [byte]
    }
}
$LocalMachine = [uint32]2147483650
$Key = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
$Versions = 'SOFTWARE\Microsoft\Windows\CurrentVersion'
$Policy = 'SOFTWARE\Policies\Microsoft\Windows\PowerShell'
# What the guest asks StdRegProv (learn.microsoft.com): the names of keys and values, and two values.
$Registry = @(
    "GetStringValue $Key InstallationType", "GetStringValue $Policy ExecutionPolicy", "EnumValues $Policy"
    "EnumKey $Versions\Component Based Servicing", "EnumKey $Versions\WindowsUpdate\Auto Update"
    'EnumValues SYSTEM\CurrentControlSet\Control\Session Manager'
)

function Test-Fault([string]$Name) { Test-Path -LiteralPath (Join-Path $env:FAKE_WINDOWS "faults/$Name") }

function Deny([string]$What) {
    $line = ConvertTo-Json -Compress -InputObject @{ kind = 'refused'; program = 'CIM'; why = $What }
    [IO.File]::AppendAllText((Join-Path $env:FAKE_WINDOWS 'journal'), "$line`n")
    throw "refused: $What"
}

function Read-Machine([string]$File) {
    ConvertFrom-Json -InputObject ([IO.File]::ReadAllText((Join-Path $env:FAKE_WINDOWS $File)))
}

function Get-CimInstance {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)][string]$Namespace, [Parameter(Mandatory)][string]$ClassName,
        [Parameter(Mandatory)][uint32]$OperationTimeoutSec
    )
    if (Test-Fault 'cim') { throw 'The service cannot be started' }
    if ((Test-Fault 'storage') -and $Namespace -ceq 'root/Microsoft/Windows/Storage') { throw 'Invalid namespace' }
    # As long as the cluster's own service is in trouble.
    if ((Test-Fault 'cluster') -and $ClassName -ceq 'MSCluster_ResourceGroup') { throw 'Timed out' }
    if ((Test-Fault 'volumes') -and $ClassName -ceq 'Win32_Volume') { throw 'Provider load failure' }
    # Nothing is asked about a session's shadow copies while it holds the application: CIM may take its time, or hang.
    # An attempt that a later one has overtaken holds nothing, and deletes its own meanwhile.
    if (($ClassName -ceq 'Win32_ShadowCopy') -and (Test-Path -LiteralPath (Join-Path $env:FAKE_WINDOWS 'application.frozen'))) {
        $run, $attempt = 'RunId', 'Attempt' | ForEach-Object { $PSCmdlet.SessionState.PSVariable.GetValue($_) }
        $later = Join-Path (Join-Path (Join-Path (Join-Path $env:ProgramData 'Quiesce') 'runs') "$run") "$(1 + $attempt)"
        if (-not (Test-Path -LiteralPath $later)) { Deny "$ClassName while the application is held" }
    }
    $full = "${Namespace}:$ClassName"
    if ($Conditions.ContainsKey($full)) {
        $types = $Conditions[$full]
        $entry = (Read-Machine 'condition.json').instances.PSObject.Properties[$full]
        if ($null -eq $entry) { throw 'Invalid namespace' }
        $found = $entry.Value
    } else {
        $types = $Properties[$full]
        if ($null -eq $types) { Deny $full }
        $file = if ($ClassName.StartsWith('Win32_Shadow')) { 'shadows.json' } else { 'cim.json' }
        $found = (Read-Machine $file).$ClassName
    }
    foreach ($one in $found) {
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
    $known = "${Namespace}:${ClassName}" -ceq 'root/cimv2:StdRegProv'
    $tree, $path, $value = $Arguments['hDefKey'], $Arguments['sSubKeyName'], $Arguments['sValueName']
    $asked = "$MethodName $path $value".TrimEnd()
    if (-not $known -or $tree -isnot [uint32] -or $tree -ne $LocalMachine -or ($Registry -cnotcontains $asked)) {
        Deny "${Namespace}:${ClassName}:$MethodName $(ConvertTo-Json -Compress -InputObject $Arguments)"
    }
    if ($path -ceq $Key) { return [pscustomobject]@{ ReturnValue = [uint32]0; sValue = 'Server' } }
    $entry = (Read-Machine 'condition.json').registry.PSObject.Properties[$path]
    if ($null -eq $entry) { return [pscustomobject]@{ ReturnValue = [uint32]2 } }
    $names = if ($MethodName -ceq 'EnumKey') { $entry.Value.keys } else { @($entry.Value.values.PSObject.Properties | ForEach-Object Name) }
    if ($value) { return [pscustomobject]@{ ReturnValue = [uint32]0; sValue = $entry.Value.values.$value } }
    [pscustomobject]@{ ReturnValue = [uint32]0; sNames = [string[]]$names }
}
Export-ModuleMember -Function Get-CimInstance, Invoke-CimMethod
