# ---- Processes that are watched and ended ---------------------------------------------------------------------------

function Skip-Unwritten($Copies) {
    # What cannot be written, as on a full disk, is dropped: a program must not stop at a full pipe.
    foreach ($copy in $Copies) {
        if ($copy.Copying.IsFaulted) { $copy.Copying = $copy.Stream.CopyToAsync([IO.Stream]::Null) }
    }
}

function Wait-Program($Process, $Copies, [double]$Seconds) {
    # $false if it still runs.
    $elapsed = [Diagnostics.Stopwatch]::StartNew()
    while (-not $Process.WaitForExit(200)) {
        Skip-Unwritten $Copies
        if ($elapsed.Elapsed.TotalSeconds -ge $Seconds) { return $false }
    }
    $true
}

function Wait-Output($Copies) {
    # A process that a script has left behind may hold its output open for ever.
    $null = Wait-Until 1 { @($Copies | Where-Object { -not $_.Copying.IsCompleted }).Count -eq 0 }
}

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
    $code = try { Invoke-SystemProgram 'taskkill.exe' "/T /F /PID $($Process.Id)" 10 } catch { $_.Exception.Message }
    if ($Process.WaitForExit(3000)) { return }
    Write-Log $Session "taskkill did not end ${What}: $code"
    try { $Process.Kill() } catch { Write-Log $Session $_.Exception.Message }
    if (-not $Process.WaitForExit(5000)) { Add-Alive $Session $What }
}
