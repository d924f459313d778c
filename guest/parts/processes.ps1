# ---- Processes that are watched and ended ---------------------------------------------------------------------------

function Get-StartTicks($Process) {
    # Together with its number, the identity of a process; numbers are given again. 0 if it has ended meanwhile.
    try { $Process.StartTime.ToUniversalTime().Ticks } catch { 0 }
}

function Get-LeftProcess($Record) {
    # The process that a dead runner started, or that is a runner, if it still runs.
    if (($null -eq $Record) -or ($Record.processId -eq 0)) { return }
    foreach ($left in @(Get-Process -Id $Record.processId -ErrorAction SilentlyContinue)) {
        # Windows says the same each time; where it is counted from the boot, it may be some tenths of a second off.
        if ([math]::Abs((Get-StartTicks $left) - $Record.startedTicks) -lt 10000000) { $left }
    }
}

function Add-Alive($Session, [string]$What) {
    if ($Session.State.alive -cnotcontains $What) { $Session.State.alive = @($Session.State.alive) + $What }
    Write-Log $Session "$What could not be ended"
}

function Stop-Tree($Session, [string]$What, $Process) {
    # taskkill ends what the process has started, too, but it asks WMI, which may be stopped or busy: then at least the
    # process itself. The state names what still lives.
    # Of an account's process the number is the account's word, so only what is the account's is ended.
    $account = if ($Stages -ccontains $What) { Get-Account $Session } else { '' }
    $whose = if ($account) { " /FI `"USERNAME eq $account`"" } else { '' }
    $ending = "/T /F /PID $($Process.Id)$whose"
    $code = try { Invoke-SystemProgram 'taskkill.exe' $ending 10 } catch { $_.Exception.Message }
    if ($Process.WaitForExit(3000)) { return }
    Write-Log $Session "taskkill did not end ${What}: $code"
    try { if ($account) { $null = Invoke-Schtasks 'end' 'account' '' } else { $Process.Kill() } }
    catch { Write-Log $Session $_.Exception.Message }
    if (-not $Process.WaitForExit(5000)) { Add-Alive $Session $What }
}
