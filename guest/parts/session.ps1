# ---- The session: its folder and log, and whether its runner lives --------------------------------------------------

function Write-Log($Session, [string]$Text) {
    # For operators. A log that cannot be written must not keep an application frozen.
    $line = "$(Format-Time ([datetime]::UtcNow) "yyyy-MM-dd'T'HH:mm:ss.fff'Z'") $Verb[$PID] $Text`r`n"
    try { [IO.File]::AppendAllText((Join-Path $Session.Folder 'session.log'), $line, [Text.Encoding]::ASCII) }
    catch [IO.IOException], [UnauthorizedAccessException] { $Session.Unsaved = $true }
}

function Test-Holds($Session, [string]$Stage) {
    # Whether a session script does this stage's work. The manifest of an earlier version names none.
    $script = $Session.Manifest.scripts.PSObject.Properties['session']
    ($Stage -cne 'complete') -and ($null -ne $script) -and [bool]$script.Value
}

function Test-Reached($Session, [string]$Phase) {
    [array]::IndexOf($Phases, $Session.State.phase) -ge [array]::IndexOf($Phases, $Phase)
}

function Test-Free($Session) {
    $lock = Open-Lock (Join-Path $Session.Folder 'runner.lock')
    if ($lock) { $lock.Dispose() }
    $null -ne $lock
}

function Test-Overrun($Session) {
    # Whether the runner has had more time than its phase can take: then it hangs, though it holds its lock.
    $state = $Session.State
    $limit = $Session.Manifest.limitSeconds
    if ($state.alive -ccontains 'runner') { return $true }
    $since, $seconds = switch -CaseSensitive ($state.phase) {
        'created' { $state.createdMs, 120 }
        'after' { $state.after.startedMs, ($limit.after + 180) }
        'thawed' { $state.createdMs, ($limit.session + 60) }
        'complete' { $state.complete.startedMs, ($limit.complete + 180) }
        'ended' { return $false }
        default { $state.before.startedMs, ($limit.before + $limit.freeze + 30) }
    }
    ((Get-Milliseconds) - $since) / 1000 -gt $seconds
}

function Test-CopiesLeft($State, [string]$Owner) {
    ($null -ne $State) -and ($State.instance -ceq $Owner) -and ($State.phase -ceq 'ended') -and
        ($null -ne $State.shadow) -and ($State.shadow.deleted -is [bool]) -and -not $State.shadow.deleted
}

function Get-Log($Session) {
    # DiskShadow may write its log, and what it prints, in blocks: the longer one has more of it.
    $longest = ''
    foreach ($name in 'diskshadow.log', 'diskshadow.out') {
        $path = Join-Path $Session.Folder $name
        if (-not (Test-Path -LiteralPath $path)) { continue }
        if (-not $longest -or ((Get-Item -LiteralPath $path).Length -gt (Get-Item -LiteralPath $longest).Length)) {
            $longest = $path
        }
    }
    $longest
}
