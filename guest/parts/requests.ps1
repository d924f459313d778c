# ---- freeze, thaw and complete --------------------------------------------------------------------------------------

function Invoke-Freeze($Session) {
    # A second freeze waits for the same session. Only the phase frozen is a success: in a later one it has thawed.
    if ($Session.Doubt) { throw "IdentityUnknown: $($Session.Doubt)" }
    Enter-Attempt $Session
    $null = Wait-Until ([int]$WaitSeconds) {
        Update-State $Session
        (Test-Reached $Session 'frozen') -or (($Session.State.phase -ceq 'before') -and (Test-Free $Session))
    } 100
    Update-State $Session
    if ($Session.State.phase -cne 'frozen') { throw "NotFrozen: the session is $($Session.State.phase)" }
}

function Enter-Attempt($Session) {
    # One verb at a time decides whether a session begins. A thaw or complete that comes first makes the session too,
    # so that a delayed freeze that comes later freezes nothing.
    $lock = Wait-Lock (Join-Path (Get-Root) 'server.lock') 30
    try {
        if (-not (Test-Path -LiteralPath $Session.Folder)) {
            if (Test-Path -LiteralPath (Join-Path $Session.Run 'complete.claim')) { throw "RunCompleted: $RunId" }
            Assert-NothingOpen $Session.Manifest.instance
            try { New-Session $Session }
            catch [IO.IOException], [UnauthorizedAccessException] { throw "StateNotWritten: $($_.Exception.Message)" }
        }
        Update-State $Session
        $begun = ($Session.State.phase -cne 'created') -or -not (Test-Free $Session)
        if (-not $begun -and ($Verb -ceq 'freeze')) { Start-Runner $Session }
        # A session that thaw or complete begins ends by itself, too. A thaw never fails for want of a task.
        elseif (-not $begun) { try { Register-Watchdog $Session } catch { Write-Log $Session $_.Exception.Message } }
    } finally { $lock.Dispose() }
}

function New-Session($Session) {
    # Makes the attempt's folder from the staged files, and fails if one has changed since.
    $draft = Get-DraftName $Session.Folder
    $null = New-Item -ItemType Directory -Path $draft
    foreach ($file in @($Session.Manifest.files)) {
        $copy = Join-Path $draft $file.name
        Copy-Item -LiteralPath (Join-Path $Session.Run $file.name) -Destination $copy
        $hash = (Get-FileHash -LiteralPath $copy -Algorithm SHA256).Hash
        if ($hash -cne $file.sha256) { throw "StagedFileChanged: $($file.name)" }
    }
    $state = [ordered]@{
        run = $RunId; attempt = [int]$Attempt; instance = $Session.Manifest.instance; phase = 'created'
        autoThawed = $false; runnerLost = $false; runner = $null; alive = @(); cloned = $null
        createdMs = Get-Milliseconds; frozenMs = 0; endedMs = 0
        before = $null; after = $null; complete = $null; holds = Test-Holds $Session 'before'
        shadow = if ($Session.Manifest.shadow) { New-Shadow } else { $null }
    }
    Write-Through (Join-Path $draft 'state.json') (ConvertTo-Line $state)
    [IO.File]::WriteAllText((Join-Path $draft 'runner.lock'), '', [Text.Encoding]::ASCII)
    $null = Move-Once $draft $Session.Folder
}

function New-Shadow {
    [pscustomobject]@{
        reason = ''; processId = 0; startedTicks = 0; exitCode = $null; startedMs = 0; createdMs = 0; endedMs = 0
        setId = $null; copies = $null; storage = $null; deleted = $null
    }
}

function Set-ThawWord([string]$Word) {
    # Before anything that may wait or refuse: a runner that lives needs no more. It is left where the folder is ours.
    $run = Get-RunFolder
    $folder = Join-Path $run $Attempt
    if (-not (Test-Path -LiteralPath $folder) -or -not (Test-Ours $run) -or -not (Test-Ours $folder)) { return }
    $null = Set-Word (Join-Path $folder 'thaw.flag') $Word
}

function Assert-Nonce($Session) {
    # Only who has seen stage's answer may call a backup good; everybody may end it with 0.
    if ($Succeeded -cne 'true') { return }
    if ((Read-Text (Join-Path $Session.Run 'nonce')) -cne $Nonce) { throw 'NonceWrong: stage gave another' }
}

function Invoke-Request($Session, [string]$Flag, [string]$Text, [string]$Phase) {
    # thaw and complete: set a flag for the runner and wait for it. If it is dead, the watchdog's task takes over: what
    # a task starts has no handle of the agent. Only if the task does not come, this starts the same script itself.
    # A word that cannot be left on a full disk is tried again: what takes over from a dead runner thaws without it.
    Enter-Attempt $Session
    $asked = @{ Since = $null; Seconds = 15; Why = ''; Free = $false }
    $reached = Wait-Until ([int]$WaitSeconds) {
        $asked.Why = Set-Word (Join-Path $Session.Folder $Flag) $Text
        $asked.Free = Test-Free $Session               # before the state: a runner says that it ends, and then goes
        Update-State $Session
        if (Test-Reached $Session $Phase) { return $true }
        if (-not $asked.Free -and -not (Test-Overrun $Session)) { $asked.Since = $null; return $false }
        if ($null -eq $asked.Since) {
            $asked.Since = [Diagnostics.Stopwatch]::StartNew()
            try { Start-Task 'watchdog' } catch { Write-Log $Session $_.Exception.Message; $asked.Seconds = 0 }
        }
        if ($asked.Since.Elapsed.TotalSeconds -ge $asked.Seconds) {
            Start-Watchdog $Session
            $asked.Since = [Diagnostics.Stopwatch]::StartNew()
            $asked.Seconds = 15
        }
        $false
    }
    if ($reached) { return }
    if ($asked.Why) { throw "StateNotWritten: ${Flag}: $($asked.Why)" }
    throw "NotYet: the session is $($Session.State.phase)"
}
