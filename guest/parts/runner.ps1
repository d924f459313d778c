# ---- The session runner, from before to complete --------------------------------------------------------------------

function Invoke-Task($Session) {
    # Task Scheduler drops a task's output, so an error goes into the log.
    $held = @{ Lock = $null }
    try {
        $own = Get-OwnIdentity
        $null = Wait-Until 5 { $held.Lock = Enter-Runner $Session; $null -ne $held.Lock }
        if ($null -eq $held.Lock) { throw 'Busy: the runner is at work' }
        if ($Verb -ceq 'recovered') { Invoke-AfterOwed $Session }
        elseif ($own.Id -and ($own.Id -cne $Session.Manifest.instance)) { Close-Clone $Session $own.Id }
        else {
            if (-not $own.Id) { $Session.Doubt = $own.Why }
            if ($Session.State.phase -cne 'ended') { Invoke-Session $Session $held.Lock ($Verb -ceq 'session') }
            Remove-Left $Session $held.Lock
        }
    } catch {
        Write-Log $Session "ends at line $($_.InvocationInfo.ScriptLineNumber): $($_.Exception.Message)"
        throw
    } finally { if ($held.Lock) { $held.Lock.Dispose() } }
}

function Enter-Runner($Session) {
    # Makes this process the session's runner, and returns what it must hold; nothing while another is at work. One that
    # hangs is ended; where that fails within 10 s, its lock does not count, and the state says that two are alive.
    $file = Join-Path $Session.Folder 'runner.lock'
    $held = @{ Lock = Open-Lock $file }
    Update-State $Session
    if ($held.Lock) { return $held.Lock }
    if (-not (Test-Overrun $Session)) { return }
    $turn = Open-Lock (Join-Path $Session.Folder 'takeover.lock')
    if ($null -eq $turn) { return }
    foreach ($left in Get-LeftProcess $Session.State.runner) {
        Write-Log $Session "the runner $($left.Id) hangs in the phase $($Session.State.phase), and is ended"
        try { $left.Kill() } catch { Write-Log $Session $_.Exception.Message }
    }
    $null = Wait-Until 10 { $held.Lock = Open-Lock $file; $null -ne $held.Lock }
    Update-State $Session
    if ($held.Lock) { $turn.Dispose(); return $held.Lock }
    Add-Alive $Session 'runner'
    $turn
}

function Invoke-Session($Session, $Lock, [bool]$Start) {
    # The session's runner continues it from its phase. Without $Start it takes over from a dead one: then it thaws the
    # application at once, whatever the clock says.
    try {
        if ($Start -and ($Session.State.phase -cne 'created')) { return }
        $self = Get-StartTicks ([Diagnostics.Process]::GetCurrentProcess())
        $Session.State.runner = [ordered]@{ processId = $PID; startedTicks = $self }
        if (-not $Start) {
            Write-Log $Session "takes over from a dead runner in the phase $($Session.State.phase) $($Session.Doubt)"
            $null = Save-State $Session
        }
        $limit = $Session.Manifest.limitSeconds
        $age = [math]::Max(0, ((Get-Milliseconds) - $Session.State.createdMs) / 1000)
        $clock = [Diagnostics.Stopwatch]::StartNew()
        if ($Start) { Initialize-Account $Session }
        if ($Start) { Invoke-Before $Session } elseif (-not (Test-Reached $Session 'frozen')) { Skip-Before $Session }
        if ($Session.State.phase -ceq 'frozen') {
            # Between two runners the server may have been off, and the application with it.
            $Session.State.runnerLost = -not $Start
            Invoke-After $Session $(if ($Start) { $limit.freeze - $Session.CreateSeconds } else { 0 })
        } elseif (($Session.State.phase -ceq 'after') -and ($Session.State.after.endedMs -eq 0)) {
            Close-Script $Session 'after' $limit.after
        }
        if ($Session.State.phase -ceq 'after') { Read-ShadowAtThaw $Session }
        if (-not $Start) { Close-Shadow $Session 'RunnerLost' }
        elseif (Test-AbortAsked $Session) { Close-Shadow $Session 'Aborted' }
        Set-Phase $Session 'thawed'
        # Started by thaw, where no task comes: it may have the agent's handles, and must not keep the command open.
        if ($Verb -ceq 'thaw') { return }
        if ($Session.State.phase -ceq 'complete') { Close-Script $Session 'complete' $limit.complete }
        elseif ($Session.State.phase -ceq 'thawed') {
            $left = $limit.session - $age - $clock.Elapsed.TotalSeconds
            if (Wait-Complete $Session $left) { Invoke-Complete $Session }
            else {
                Close-Shadow $Session 'Aborted'
                $Session.State.complete = New-Record 'Superseded' ''
            }
        }
        Wait-Output $Session.Copies
        if ($Session.State.endedMs -eq 0) { $Session.State.endedMs = Get-Milliseconds }
        Set-Phase $Session 'ended'
    } finally { $Lock.Dispose() }
}

function Remove-Left($Session, $Lock) {
    # What a session that has ended needs no more; its runner may have died before it came to this.
    $Lock.Dispose()
    if ($Session.State.phase -cne 'ended') { return }
    if (-not $Session.Unsaved) { Remove-Tasks $RunId $Attempt }
    Remove-CopiesLeft $Session
}

function Invoke-Before($Session) {
    Invoke-Script $Session 'before' ''
    $since = [Diagnostics.Stopwatch]::StartNew()
    if ($null -ne $Session.State.shadow) { Invoke-Create $Session }
    $Session.CreateSeconds = $since.Elapsed.TotalSeconds
    $Session.State.frozenMs = Get-Milliseconds
    Set-Phase $Session 'frozen'
}

function Skip-Before($Session) {
    # The runner died before the application was frozen, or never started: before has failed, and does not start again.
    # If before had already ended, and DiskShadow was at work, its result counts.
    if ($Session.State.phase -cne 'before') { $Session.State.before = New-Record 'NotStarted' '' }
    elseif ($Session.State.before.endedMs -eq 0) { Close-Script $Session 'before' 0 }
    Set-Phase $Session 'frozen'
}

function Invoke-After($Session, [double]$LimitSeconds) {
    # after gets before's true status on every path: AWS asked, the deadline has passed, or the runner has died. Any
    # delay here prolongs the freeze, so it looks every 50 ms.
    $null = Wait-Until $LimitSeconds {
        if ($Session.Unsaved) { $null = Save-State $Session }
        Watch-Shadow $Session
        (Test-Flag $Session 'thaw.flag') -or (Test-Flag $Session 'complete.flag')
    } 50
    $Session.State.autoThawed = -not ((Test-Flag $Session 'thaw.flag') -or (Test-Flag $Session 'complete.flag'))
    if ($Session.State.autoThawed) { Write-Log $Session 'AWS has not asked to thaw within the limit: after runs now' }
    Invoke-Script $Session 'after' $(if ($Session.State.before.succeeded) { '1' } else { '0' })
    $null = Save-State $Session
}

function Wait-Complete($Session, [double]$LimitSeconds) {
    # The first answer counts: AWS's, or 0 when the session's time is up. $false if a later attempt has begun.
    $later = Join-Path $Session.Run "$([int]$Attempt + 1)"
    $asked = Wait-Until $LimitSeconds {
        if ($Session.Unsaved) { $null = Save-State $Session }
        Watch-Shadow $Session
        (Test-Flag $Session 'complete.flag') -or (Test-Path -LiteralPath $later)
    } 1000
    if (-not $asked -and (New-Flag (Join-Path $Session.Folder 'complete.flag') '0')) {
        Write-Log $Session 'AWS has not asked to complete within the limit: complete runs with 0'
    }
    Test-Flag $Session 'complete.flag'
}

function Invoke-Complete($Session) {
    # 1 only if the backup and all earlier scripts succeeded. Once per run: the claim names the attempt that runs it.
    $claim = Join-Path $Session.Run 'complete.claim'
    if ($Session.Doubt) { $Session.Doubt = Get-Doubt $Session.Manifest.instance }
    if ($Session.Doubt) {
        Write-Log $Session "complete is not run: $($Session.Doubt)"
        $Session.State.complete = New-Record "IdentityUnknown: $($Session.Doubt)" ''
        return
    }
    $null = New-Flag $claim $Attempt
    if ((Read-Text $claim) -cne $Attempt) {
        Close-Shadow $Session 'Aborted'
        $Session.State.complete = New-Record 'AlreadyRun' ''
        return
    }
    $backup = (Read-Text (Join-Path $Session.Folder 'complete.flag')) -ceq '1'
    if ($backup) { $backup = Complete-Backup $Session }
    Close-Shadow $Session 'Aborted'
    $all = $backup -and $Session.State.before.succeeded -and $Session.State.after.succeeded
    Invoke-Script $Session 'complete' $(if ($all) { '1' } else { '0' })
}

function Test-Flag($Session, [string]$Name) { Test-Path -LiteralPath (Join-Path $Session.Folder $Name) }

function Test-AbortAsked($Session) {
    # Another attempt will follow this one.
    (Test-Flag $Session 'thaw.flag') -and
        ((Read-Fact 'thaw.flag' { Read-Text (Join-Path $Session.Folder 'thaw.flag') }) -ceq 'abort')
}

function Invoke-AfterOwed($Session) {
    # The verb recovered has made sure that this is a clone, and that its session has ended.
    if (Test-AfterOwed $Session) { Invoke-Script $Session 'after' '1' }
    Wait-Output $Session.Copies
    $Session.State.phase = 'ended'
    if (-not (Save-State $Session)) { return }
    foreach ($mode in 'account', 'recovered') { $null = Invoke-Schtasks 'delete' $mode ' /f' }
}
