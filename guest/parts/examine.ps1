# ---- What a backup needs of the server ------------------------------------------------------------------------------

function Get-Instances([string]$Class, [string[]]$Properties, [string]$Namespace = 'root/cimv2',
    [uint32]$Seconds = 20) {
    Get-CimInstance -Namespace $Namespace -ClassName $Class -OperationTimeoutSec $Seconds |
        Select-Object -Property $Properties
}

function Get-Provided([string]$Class, [string[]]$Properties, [string]$Parent, [string]$Feature) {
    # Nothing where a feature of Windows is not installed: then its namespace is missing.
    $found = @(Get-Instances '__NAMESPACE' @('Name') $Parent | Where-Object { $_.Name -eq $Feature })
    if ($found.Count -gt 0) { Get-Instances $Class $Properties "$Parent/$Feature" }
}

function Get-Registered($Found, [string]$Field) {
    # What StdRegProv answers; nothing for a key that does not exist (2).
    if ($Found.ReturnValue -eq 2) { return }
    if ($Found.ReturnValue -ne 0) { throw "StdRegProv answers $($Found.ReturnValue)" }
    $answered = $Found.PSObject.Properties[$Field]
    if ($null -ne $answered) { $answered.Value }
}

function Get-KeyNames([string]$Key) {
    $asked = @{ hDefKey = [uint32]2147483650; sSubKeyName = $Key }
    $found = Invoke-CimMethod -Namespace 'root/cimv2' -ClassName 'StdRegProv' -MethodName 'EnumKey' -Arguments $asked `
        -OperationTimeoutSec 20
    Get-Registered $found 'sNames'
}

function Get-ValueNames([string]$Key) {
    $asked = @{ hDefKey = [uint32]2147483650; sSubKeyName = $Key }
    $found = Invoke-CimMethod -Namespace 'root/cimv2' -ClassName 'StdRegProv' -MethodName 'EnumValues' `
        -Arguments $asked -OperationTimeoutSec 20
    Get-Registered $found 'sNames'
}

function Get-GroupPolicy {
    # What a group policy lets PowerShell run; it overrides the agent's -ExecutionPolicy and ours.
    $key = 'SOFTWARE\Policies\Microsoft\Windows\PowerShell'
    if (@(Get-ValueNames $key) -notcontains 'ExecutionPolicy') { return }
    $asked = @{ hDefKey = [uint32]2147483650; sSubKeyName = $key; sValueName = 'ExecutionPolicy' }
    $found = Invoke-CimMethod -Namespace 'root/cimv2' -ClassName 'StdRegProv' -MethodName 'GetStringValue' `
        -Arguments $asked -OperationTimeoutSec 20
    Get-Registered $found 'sValue'
}

function Get-PendingReboot {
    $versions = 'SOFTWARE\Microsoft\Windows\CurrentVersion'
    @(Get-KeyNames "$versions\Component Based Servicing") -eq 'RebootPending'
    @(Get-KeyNames "$versions\WindowsUpdate\Auto Update") -eq 'RebootRequired'
    $manager = 'SYSTEM\CurrentControlSet\Control\Session Manager'
    @(Get-ValueNames $manager) -eq 'PendingFileRenameOperations'
}

function Get-Writers {
    # By vssadmin, since DiskShadow reads its commands from a file, and this changes nothing on the server.
    $printed = Read-Program 'vssadmin.exe' 'list writers'
    if ($printed.Mark) { throw $printed.Why }
    [Text.Encoding]::ASCII.GetString($printed.Bytes)
}

function Get-RootState {
    $root = Get-Root
    if (Test-Path -LiteralPath $root) { [ordered]@{ ours = Test-Ours $root; closed = Test-Closed $root } }
}

function Get-IdentityByMetadata {
    $token = Get-Metadata 'PUT' '/latest/api/token' 'X-aws-ec2-metadata-token-ttl-seconds' '60'
    Get-Metadata 'GET' '/latest/meta-data/instance-id' 'X-aws-ec2-metadata-token' $token
}

function Get-Answer([string]$Name, [scriptblock]$Question) {
    # Each answer by itself, with why there is none: what could not be asked must not look as if it were good.
    $answer = [ordered]@{ values = @(); why = '' }
    try { $answer['values'] = @(& $Question | Where-Object { $null -ne $_ }) }
    catch { $answer['why'] = "${Name}: $($_.Exception.Message)" }
    $answer
}

function Invoke-Examine {
    $questions = [ordered]@{
        services = { Get-Instances 'Win32_Service' @('Name', 'State', 'StartMode') }
        providers = { Get-Instances 'Win32_ShadowProvider' @('ID', 'Name') }
        storage = { Get-Instances 'Win32_ShadowStorage' @('UsedSpace', 'MaxSpace') }
        encrypted = { Get-Provided 'Win32_EncryptableVolume' @('DriveLetter', 'DeviceID', 'ConversionStatus') `
                'root/cimv2/Security' 'MicrosoftVolumeEncryption' }
        defender = { Get-Provided 'MSFT_MpPreference' @('AttackSurfaceReductionRules_Ids',
                'AttackSurfaceReductionRules_Actions', 'EnableControlledFolderAccess') `
                'root/Microsoft/Windows' 'Defender' }
        groupPolicy = { Get-GroupPolicy }
        pendingReboot = { Get-PendingReboot }
        diskShadow = { Test-Path -LiteralPath (Get-SystemFile 'diskshadow.exe') }
        writers = { Get-Writers }
        folder = { Get-RootState }
        metadata = { Get-IdentityByMetadata }
        cluster = { Get-ClusterFacts }
    }
    $answers = [ordered]@{ utcMs = Get-Milliseconds }
    foreach ($name in @($questions.Keys)) { $answers[$name] = Get-Answer $name $questions[$name] }
    $answers
}
