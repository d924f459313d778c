# ---- The verb that mends --------------------------------------------------------------------------------------------

function Invoke-Verb($Data) {
    # Never on a clone, which the settings of another server are none of.
    Assert-Own $InstanceId
    $Data['was'] = Read-Setting
    if ($Data['was'] -ceq $To) { return }
    # Somebody has changed it since it was looked at: it stays as it is.
    if ($Data['was'] -cne $From) { throw "SettingDiffers: $Setting of $Subject is $($Data['was']), not $From" }
    try { Write-Setting } catch { throw "NotChanged: $($_.Exception.Message)" }
    $is = Read-Setting
    if ($is -cne $To) { throw "NotChanged: $Setting of $Subject is $is, not $To" }
}

function Read-Setting {
    # Asked by CIM, whose words are the same in every language.
    try { $found = @(Find-Setting) } catch { throw "SettingUnreadable: $($_.Exception.Message)" }
    if ($found.Count -ne 1) { throw "SettingMissing: Windows lists $($found.Count) of $Subject" }
    "$($found[0].$Setting)"
}

function Find-Setting {
    if ($Setting -cne 'MaxSpace') { return Find-Instance 'Win32_Service' | Where-Object { $_.Name -eq $Subject } }
    Find-Instance 'Win32_ShadowStorage' | Where-Object { $_.Volume.DeviceID -eq "\\?\Volume{$Subject}\" }
}

function Find-Instance([string]$Class) {
    Get-CimInstance -Namespace 'root/cimv2' -ClassName $Class -OperationTimeoutSec 20
}

function Write-Setting {
    switch -CaseSensitive ($Setting) {
        'StartMode' {
            $type = @{ Auto = 'Automatic'; Manual = 'Manual'; Disabled = 'Disabled' }[$To]
            Set-Service -Name $Subject -StartupType $type
        }
        'State' {
            # What depends on a service did not run either before it was started.
            if ($To -ceq 'Running') { Start-Service -Name $Subject } else { Stop-Service -Name $Subject -Force }
        }
        'MaxSpace' {
            Set-CimInstance -InputObject (Find-Setting) -Property @{ MaxSpace = [uint64]$To } -OperationTimeoutSec 60
        }
    }
}
