# ---- What Windows says through CIM ----------------------------------------------------------------------------------

function Read-Cim([string]$Class, [string]$Namespace = 'root/cimv2') {
    Read-Fact $Class { Get-CimInstance -Namespace $Namespace -ClassName $Class -OperationTimeoutSec 20 } |
        Where-Object { $null -ne $_ }
}

function Read-Copies([string]$SetId) {
    # The shadow copies of a set; $null if CIM does not answer. CIM's ids are in upper case, DiskShadow's in lower.
    try {
        $all = @(Get-CimInstance -Namespace 'root/cimv2' -ClassName 'Win32_ShadowCopy' -OperationTimeoutSec 20)
    } catch { [Console]::Error.WriteLine("Win32_ShadowCopy: $($_.Exception.Message)"); return $null }
    , @($all | Where-Object { $_.SetID -eq $SetId })
}

function Read-Storage {
    # The shadow storage of each volume.
    foreach ($storage in Read-Cim 'Win32_ShadowStorage') {
        [ordered]@{
            volumeGuid = $storage.Volume.DeviceID; storageGuid = $storage.DiffVolume.DeviceID
            usedBytes = $storage.UsedSpace; allocatedBytes = $storage.AllocatedSpace; maxBytes = $storage.MaxSpace
        }
    }
}
