# ---- A session script: before and after in one process, which holds the application while it runs -------------------

function Wait-Frozen($Session, $Process, $Record) {
    # At rest is what the script says by its file, and only as long as it runs. One that has had its time is told to
    # thaw, so that it can undo what it has done, and is ended.
    $Session.Holder = $Process
    $frozen = Join-Path $Session.Folder 'session.frozen'
    $null = Wait-Until $Session.Manifest.limitSeconds.before {
        Skip-Unwritten $Session.Copies
        $Process.HasExited -or (Test-Path -LiteralPath $frozen)
    } 50
    if ($Process.HasExited) {
        $Record.exitCode = $Process.ExitCode
        $Record.reason = 'EndedEarly'
    } elseif (Test-Path -LiteralPath $frozen) {
        $Record.succeeded = $true
        $Record.reason = ''
    } else {
        Set-Hold $Session 'session.thaw'
        if (-not (Wait-Program $Process $Session.Copies 5)) { Stop-Tree $Session 'session' $Process }
        $Record.reason = 'TimedOut'
    }
}

function Close-Hold($Session, $Record) {
    # The script is told to thaw, and has the time of after to end. Where nobody is there to be told, the application
    # is not held; it may not have been for long, so before has failed.
    $own = $null -ne $Session.Holder
    $process = if ($own) { $Session.Holder } else { Get-LeftProcess $Session.State.before | Select-Object -First 1 }
    if (($null -eq $process) -or $process.HasExited) {
        if ($Session.State.before.succeeded) { Set-EndedEarly $Session $(if ($own) { $process.ExitCode }) }
        $Record.argument = '0'
        $Record.succeeded = $true
        $Record.reason = 'NotHeld'
        return
    }
    Write-Log $Session 'the session script is told to thaw'
    Set-Hold $Session 'session.thaw'
    # One that cannot be told, as on a full disk, is ended at once: that thaws, too.
    $seconds = if (Test-Flag $Session 'session.thaw') { $Session.Manifest.limitSeconds.after } else { 0 }
    if ($own) { Read-End $Session 'after' $process $seconds $Record }
    elseif ($process.WaitForExit($seconds * 1000)) { $Record.reason = 'Unheard' }
    else {
        Stop-Tree $Session 'session' $process
        $Record.reason = 'TimedOut'
    }
}

function Set-EndedEarly($Session, $ExitCode) {
    $before = $Session.State.before
    $before.succeeded = $false
    $before.exitCode = $ExitCode
    $before.reason = 'EndedEarly'
    Write-Log $Session "the session script has ended before it was told to thaw, with exit code '$ExitCode'"
}
