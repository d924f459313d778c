# ---- The inventory of the server ------------------------------------------------------------------------------------

function Get-Windows {
    $system = Read-Cim 'Win32_OperatingSystem'
    if ($null -eq $system) { $system = @{ Version = $null; Caption = $null; ProductType = $null } }
    $installation = Read-Fact 'InstallationType' {
        # The registry, through CIM like all the rest; the number is HKEY_LOCAL_MACHINE.
        $key = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
        $value = @{ hDefKey = [uint32]2147483650; sSubKeyName = $key; sValueName = 'InstallationType' }
        $found = Invoke-CimMethod -Namespace 'root/cimv2' -ClassName 'StdRegProv' -MethodName 'GetStringValue' `
            -Arguments $value -OperationTimeoutSec 20
        $found.sValue
    }
    [ordered]@{
        version = $system.Version; name = $system.Caption; installation = $installation
        productType = $system.ProductType
    }
}

$StorageApi = 'root/Microsoft/Windows/Storage'

function Get-Drives($Disks) {
    # Every volume of a fixed disk. The volume's GUID path links it to its disk.
    $diskOf = @{}
    $serialOf = @{}
    $targetOf = @{}
    foreach ($partition in Read-Cim 'MSFT_Partition' $StorageApi) {
        foreach ($path in $partition.AccessPaths) { $diskOf[$path] = $partition.DiskNumber }
    }
    foreach ($disk in $Disks) { $serialOf["$($disk.Number)"] = $disk.SerialNumber }
    foreach ($disk in Read-Cim 'Win32_DiskDrive') { $targetOf["$($disk.Index)"] = $disk.SCSITargetId }
    foreach ($volume in Read-Cim 'Win32_Volume') {
        if ($volume.DriveType -ne 3) { continue }
        $path = "$($volume.DriveLetter)"
        if (-not $path -and ($volume.Name -cne $volume.DeviceID)) { $path = $volume.Name }
        $disk = $diskOf[$volume.DeviceID]
        [ordered]@{
            path = $path; volumeGuid = $volume.DeviceID; fileSystem = $volume.FileSystem
            sizeBytes = $volume.Capacity; freeBytes = $volume.FreeSpace
            diskNumber = $disk; serial = $serialOf["$disk"]; scsiTarget = $targetOf["$disk"]
        }
    }
}

function Get-AwsComponents {
    $folder = Join-Path (Join-Path $env:ProgramFiles 'Amazon') 'AwsVssComponents'
    $file = Join-Path $folder 'ec2-vss-agent.exe'
    if (-not (Test-Path -LiteralPath $file)) { return }
    [ordered]@{ fileVersion = (Get-Item -LiteralPath $file).VersionInfo.FileVersion }
}

function Invoke-Inventory {
    Assert-Own $InstanceId
    $windows = Get-Windows
    $disks = @(Read-Cim 'MSFT_Disk' $StorageApi)
    $drives = @(Get-Drives $disks | Sort-Object -Property { -not $_.path }, { $_.path })
    if (-not $windows.version -and ($drives.Count -eq 0)) { throw 'InventoryUnreadable: CIM answers nothing' }
    $mode = "$($ExecutionContext.SessionState.LanguageMode)"
    $found = [ordered]@{
        windows = $windows; powershell = [ordered]@{ version = "$($PSVersionTable.PSVersion)"; languageMode = $mode }
        programData = $env:ProgramData; shadowStorage = @(Read-Storage)
        overdue = @(Read-Fact 'overdue' { Get-Overdue $InstanceId } | Where-Object { $null -ne $_ })
        strange = Read-Fact 'strange' { Get-Strange $InstanceId }
        drives = $drives
        disks = @($disks | Select-Object -Property Number, SerialNumber, BusType, IsOffline, NumberOfPartitions,
            AllocatedSize)
        awsComponents = Get-Answer 'awsComponents' { Get-AwsComponents }
        programDataFreeBytes = Read-Fact 'ProgramData' { (New-Object IO.DriveInfo $env:ProgramData).AvailableFreeSpace }
    }
    if ($Writers -ceq 'true') { $found['writers'] = Get-Answer 'writers' { Get-Writers } }
    if ($Cluster -ceq 'true') { $found['cluster'] = Get-Answer 'cluster' { Get-ClusterFacts } }
    if ($WritersOf -cne 'none') { $found['writersFiles'] = @(Read-WritersFiles) }
    $found
}

function Read-WritersFiles {
    # A policy's files of writers beside the server's own scripts, as they are, or why one is not read. AWS judges them.
    $owner, $policy = $WritersOf -csplit '/'
    $root = Join-Path (Get-Root) 'scripts'
    foreach ($place in "$owner\", '') {
        $folder = Join-Path $root $place
        if (-not (Test-Path -LiteralPath $folder -PathType Container)) { continue }
        foreach ($file in @(Get-ChildItem -LiteralPath $folder -File | Sort-Object -Property Name)) {
            if (-not ($file.Name -cmatch "\A(?i:vss_(exclude|verify)_writers_)$policy(?i:\.txt)\z")) { continue }
            $tail = @{ Bytes = @(); Mark = '' }
            $foreign = @((Get-Root), $root, $folder, $file.FullName | Where-Object { -not (Test-Ours $_) })
            if ($foreign.Count -eq 0) { $tail = Read-Tail $file.FullName 65537 }
            $problem = if ($foreign.Count -gt 0) { "$($foreign[0]) is a link, or another's" }
            elseif ($tail.Mark -ceq 'unreadable-') { 'another process has it open' } else { '' }
            $content = [Convert]::ToBase64String($tail.Bytes)
            [ordered]@{ file = "$place$($file.Name)"; content = $content; problem = $problem }
        }
    }
}
