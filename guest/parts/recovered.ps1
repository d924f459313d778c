# ---- recovered: what AWS asks a server that it launched from a recovery point ---------------------------------------

function Invoke-Recovered {
    # Ends the run's sessions that the snapshots found open, where their own task has not done so at boot, and returns
    # all of the run's sessions. A run that is not on this server has none.
    Assert-Own $InstanceId
    $run = Get-RunFolder
    if (-not (Test-Path -LiteralPath $run)) { return }
    foreach ($Attempt in @(Get-Attempts $run | ForEach-Object { [IO.Path]::GetFileName($_) } | Sort-Object)) {
        $session = Read-Session
        Update-State $session
        if ($session.Manifest.instance -cne $InstanceId) { Close-Recovered $session }
        $session.State
    }
}

function Close-Recovered($Session) {
    # A runner that does not know whose server this is has thawed it, and waits for complete: it ends first.
    if (-not (Test-Free $Session)) { $null = Set-Word (Join-Path $Session.Folder 'complete.flag') '0' }
    $lock = Wait-Lock (Join-Path $Session.Folder 'runner.lock') ([int]$WaitSeconds)
    try {
        Update-State $Session
        Close-Clone $Session $InstanceId
        if (($ThawAfterRecovery -cne 'true') -or -not (Test-AfterOwed $Session)) { return }
        # By a task, which has no handle of the agent. It has no trigger: it never starts by itself, here or on a clone.
        Register-Task $Session 'recovered' 'IgnoreNew' @()
    } finally { $lock.Dispose() }
    $ended = Start-Task 'recovered' ([int]$WaitSeconds) {
        Update-State $Session
        ($null -ne $Session.State.after) -and ($Session.State.phase -ceq 'ended')
    }
    if (-not $ended) { throw 'NotYet: after has not ended' }
}
