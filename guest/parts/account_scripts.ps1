# ---- A script under another account, as its runner sees it ----------------------------------------------------------

function Initialize-Account($Session) {
    # Before anything is held, by a program of its own: what it asks of Windows may never answer.
    if (-not (Get-Account $Session)) { return }
    $parameters = "-Verb prepare -RunId $RunId -Attempt $Attempt"
    $call = Get-PowerShellArguments (Join-Path $Session.Folder 'account.ps1') $parameters
    $code = Invoke-SystemProgram 'WindowsPowerShell\v1.0\powershell.exe' $call 25
    Write-Log $Session "the account's task is prepared: $code"
}

function Start-Account($Session, [string]$Account, [string]$Stage, [string]$Path, [string]$Argument) {
    # Returns the account's process, which has not begun the script yet: Set-Go lets it.
    $why = Join-Path $Session.Folder 'account.why'
    if (-not (Test-Path -LiteralPath $why)) { Initialize-Account $Session }
    $problem = ConvertFrom-Json -InputObject (Read-Text $why)
    if ($problem) { throw $problem }
    Write-Order $Session $Stage $Path $Argument 0
    if ((Invoke-Schtasks 'run' 'account' '') -ne 0) {
        # schtasks has found no such task: this is a clone, or an administrator has deleted it.
        Initialize-Account $Session
        Start-Task 'account'
    }
    Wait-Begun $Session $Account $Stage
}

function Set-Go($Session, [string]$Stage, [string]$Path, $Record) {
    # Once the state has the process: what comes too late, or a second time, has another number and runs nothing.
    if (Get-Account $Session) { Write-Order $Session $Stage $Path $Record.argument $Record.processId }
}

function Read-ExitCode($Session, [string]$Name, $Process) {
    # Of a script under an account, what its process has heard: words if it could not start it, $null if none.
    if (-not (Get-Account $Session)) { return $Process.ExitCode }
    Copy-Said $Session $Name
    $said = Read-Field (Get-SaidFile $Session "$Name.end")
    if ($said -cmatch '\A-?[0-9]{1,10}\z') { [int]$said } elseif ($said) { ConvertFrom-Json -InputObject $said }
}

function Copy-Said($Session, [string]$Name) {
    if (-not (Get-Account $Session)) { return }
    foreach ($stream in 'out', 'err') {
        $said = Get-SaidFile $Session "$Name.$stream"
        try {
            if (-not (Test-Ours $said)) { throw "$said is a link, or another's" }
            Copy-Item -LiteralPath $said -Destination (Join-Path $Session.Folder "$Name.$stream")
        } catch { Write-Log $Session "the output of $Name is not copied: $($_.Exception.Message)" }
    }
}
