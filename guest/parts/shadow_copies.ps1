# ---- Shadow copies --------------------------------------------------------------------------------------------------

function Invoke-Create($Session) {
    # The state records any problem with VSS, and the session goes on. Windows is not asked about the shadow copies as
    # long as the application is held: DiskShadow's log has their ids and volumes.
    $shadow = $Session.State.shadow
    $limit = $Session.Manifest.limitSeconds
    $shadow.startedMs = Get-Milliseconds
    try {
        $hold = $HoldLines -creplace 'LIMIT', "$($limit.session + 600)"
        Write-Lines (Join-Path $Session.Folder 'hold.cmd') $hold
        $text = (Read-Text (Join-Path $Session.Folder 'shadow.txt')).Replace('*', $Session.Folder)
        $lines = @($text -csplit '\r\n' | Where-Object { $_ })
        $process = Start-DiskShadow $Session 'shadow.txt' $lines 'diskshadow'
    } catch { $shadow.reason = "NotStarted: $($_.Exception.Message)"; return }
    $Session.DiskShadow = $process
    $shadow.processId = $process.Id
    $shadow.startedTicks = Get-StartTicks $process
    $null = Save-State $Session
    $created = Join-Path $Session.Folder 'created.flag'
    $null = Wait-Until $limit.create { (Test-Path -LiteralPath $created) -or $process.HasExited } 50
    if (Test-Path -LiteralPath $created) {
        $shadow.createdMs = Get-Milliseconds
        $null = Wait-Until 2 { $shadow.setId = Read-SetId $Session; $null -ne $shadow.setId } 50
        Write-Log $Session "shadow set $($shadow.setId)"
    } elseif ($process.HasExited) { Set-ShadowEnd $Session 'EndedEarly' $process.ExitCode }
    else { Stop-Tree $Session 'diskshadow' $process; Set-ShadowEnd $Session 'TimedOut' $null }
}

# DiskShadow's exec starts this once the shadow copies exist, and waits for its end: after 0 DiskShadow notifies the
# writers of BackupComplete, after another code it stops. Each count takes a second or more, so it outlasts the session.
# If create has failed, and DiskShadow goes on all the same, the argument is no id.
$HoldLines = @(
    '@echo off',
    'cd /d "%~dp0" || exit /b 3',
    'set id=%~1',
    'if not "%id:~0,1%%id:~37%"=="{}" exit /b 3',
    '>created.flag echo %id%',
    'set seconds=0',
    ':wait',
    'if exist backup.flag exit /b 0',
    'if exist abort.flag exit /b 1',
    'set /a seconds+=1',
    'if %seconds% gtr LIMIT exit /b 2',
    '"%SystemRoot%\System32\ping.exe" -n 2 127.0.0.1 >nul',
    'goto wait')

function Start-DiskShadow($Session, [string]$Name, [string[]]$Lines, [string]$Output) {
    Write-Lines (Join-Path $Session.Folder $Name) $Lines
    $process = Start-Program (Get-SystemFile 'diskshadow.exe') "/s $Name /l $Output.log" $Session.Folder
    $Session.Copies += Copy-Streams $process (Join-Path $Session.Folder "$Output.out") `
        (Join-Path $Session.Folder "$Output.err")
    $process
}

function Write-Lines([string]$Path, [string[]]$Lines) {
    # For Windows programs: ASCII, each line ends with CR and LF. Without the last one DiskShadow drops a letter.
    [IO.File]::WriteAllText($Path, ($Lines -join "`r`n") + "`r`n", [Text.Encoding]::ASCII)
}

function Read-SetId($Session) {
    # From the log, by the alias, which Windows does not translate; else from the hold. $null if neither has it yet.
    $flag = Join-Path $Session.Folder 'created.flag'
    foreach ($path in (Get-Log $Session), $flag) {
        if (-not $path -or -not (Test-Path -LiteralPath $path)) { continue }
        foreach ($line in (Read-Fact $path { Read-Text $path }) -csplit '\r?\n') {
            $found = [regex]::Matches($line, '\{[0-9A-Fa-f-]{36}\}')
            $ofSet = ($path -ceq $flag) -or ($line -cmatch 'VSS_SHADOW_SET')
            if ($ofSet -and ($found.Count -eq 1)) { return $found[0].Value }
        }
    }
    $null
}

function Watch-Shadow($Session) {
    # Notices that DiskShadow has ended while it should hold: endpoint protection may have killed it.
    $process = $Session.DiskShadow
    if (($null -eq $process) -or ($Session.State.shadow.endedMs -ne 0) -or -not $process.HasExited) { return }
    Set-ShadowEnd $Session 'Lost' $process.ExitCode
    $null = Save-State $Session
}

function Read-ShadowAtThaw($Session) {
    # $null where CIM does not answer.
    $shadow = $Session.State.shadow
    if (($null -eq $shadow) -or ($shadow.createdMs -eq 0) -or ($null -ne $shadow.copies)) { return }
    $copies = Read-Copies $shadow.setId
    if ($null -ne $copies) {
        $shadow.copies = @(foreach ($copy in $copies) { [ordered]@{
            id = $copy.ID; setId = $copy.SetID; volumeGuid = $copy.VolumeName; deviceObject = $copy.DeviceObject
            providerId = $copy.ProviderID; persistent = $copy.Persistent; clientAccessible = $copy.ClientAccessible
            noAutoRelease = $copy.NoAutoRelease; noWriters = $copy.NoWriters
        } })
    }
    $shadow.storage = @(Read-Storage)
    $null = Save-State $Session
}

function Complete-Backup($Session) {
    # $true only if DiskShadow has notified the writers of BackupComplete, or VSS is off.
    $shadow = $Session.State.shadow
    if ($null -eq $shadow) { return $true }
    Watch-Shadow $Session
    if (($null -eq $Session.DiskShadow) -or ($shadow.endedMs -ne 0)) { return $false }
    if (Stop-Hold $Session 'backup.flag' 120) { Set-ShadowEnd $Session '' $Session.DiskShadow.ExitCode }
    else { Set-ShadowEnd $Session 'EndTimedOut' $null }
    (-not $shadow.reason) -and ($shadow.exitCode -eq 0)
}

function Close-Shadow($Session, [string]$Reason) {
    # Ends DiskShadow if it still runs, then deletes what it made; neither if the server's id is not known.
    $shadow = $Session.State.shadow
    if ($null -eq $shadow) { return }
    if ($Session.Doubt) { $Session.Doubt = Get-Doubt $Session.Manifest.instance }
    if ($Session.Doubt) { return }
    Watch-Shadow $Session
    if (($shadow.endedMs -eq 0) -and ($null -ne $Session.DiskShadow)) {
        if (Stop-Hold $Session 'abort.flag' 10) { Set-ShadowEnd $Session $Reason $Session.DiskShadow.ExitCode }
        else { Set-ShadowEnd $Session $Reason $null }
    } elseif (($shadow.endedMs -eq 0) -and ($Reason -ceq 'RunnerLost')) {
        foreach ($left in Get-LeftProcess $shadow) { Stop-Tree $Session 'diskshadow' $left }
        Set-ShadowEnd $Session $Reason $null
    }
    Remove-Copies $Session
    $null = Save-State $Session
}

function Stop-Hold($Session, [string]$Flag, [int]$Seconds) {
    # $false if DiskShadow had to be killed.
    Set-Hold $Session $Flag
    if (Wait-Program $Session.DiskShadow $Session.Copies $Seconds) { return $true }
    Stop-Tree $Session 'diskshadow' $Session.DiskShadow
    $false
}

function Set-Hold($Session, [string]$Flag) {
    try { $null = New-Flag (Join-Path $Session.Folder $Flag) '' } catch { Write-Log $Session $_.Exception.Message }
}

function Set-ShadowEnd($Session, [string]$Reason, $ExitCode) {
    $shadow = $Session.State.shadow
    if (-not $shadow.reason) { $shadow.reason = $Reason }
    $shadow.exitCode = $ExitCode
    $shadow.endedMs = Get-Milliseconds
    if (-not $shadow.setId) { $shadow.setId = Read-SetId $Session }
    # The hold outlives a DiskShadow that was killed alone.
    if ($Reason) { Set-Hold $Session 'abort.flag' }
    Write-Log $Session "DiskShadow has ended: exit code '$ExitCode' $($shadow.reason)"
}

function Remove-Copies($Session) {
    # By the id of their set, so never those of another program. They are deleted when CIM no longer lists them.
    $shadow = $Session.State.shadow
    if (-not $shadow.setId -or $shadow.deleted) { return }
    $left = Read-Copies $shadow.setId
    if (($null -eq $left) -or ($left.Count -gt 0)) {
        try {
            $lines = "delete shadows set $($shadow.setId)", 'exit'
            $process = Start-DiskShadow $Session 'delete.txt' $lines 'delete'
            if (-not (Wait-Program $process $Session.Copies 60)) { Stop-Tree $Session 'the deletion' $process }
        } catch { Write-Log $Session "shadow copies not deleted: $($_.Exception.Message)" }
        $left = Read-Copies $shadow.setId
    }
    $shadow.deleted = ($null -ne $left) -and ($left.Count -eq 0)
    Write-Log $Session "shadow set $($shadow.setId) deleted: $($shadow.deleted)"
}

function Remove-CopiesLeft($Session) {
    # What earlier sessions of this server could not delete is tried again, so that none stays for ever.
    if ($Session.Doubt -or $Session.Unsaved) { return }
    foreach ($other in @(Get-Sessions)) {
        if (($other.Folder -eq $Session.Folder) -or
            -not (Test-CopiesLeft $other.State $Session.State.instance)) { continue }
        Write-Log $Session "tries again to delete the shadow set of $($other.Name)"
        $earlier = @{ Folder = $other.Folder; State = $other.State; Copies = @(); Unsaved = $false }
        Remove-Copies $earlier
        $null = Save-State $earlier
    }
}
