# ---- One script of the customer -------------------------------------------------------------------------------------

function Invoke-Script($Session, [string]$Stage, [string]$Argument) {
    # At most once: the state records the script before it starts, and as interrupted until it has ended.
    # Only after runs even if the state cannot be written: a full disk must not keep an application frozen. On a clone
    # nothing is frozen, and it does not.
    $record = New-Record 'Interrupted' $Argument
    $Session.State.$Stage = $record
    $Session.State.phase = $Stage
    $must = ($Stage -ceq 'after') -and ($Verb -cne 'recovered')
    if (-not (Save-State $Session) -and -not $must) { throw "StateNotWritten: $Stage was not run" }
    $path = Get-ScriptPath $Session (Get-ScriptName $Session $Stage)
    if ($Session.Manifest.source -ceq 'off') { $record.succeeded = $true; $record.reason = 'Off' }
    elseif (($Stage -ceq 'after') -and (Test-Holds $Session $Stage)) { Close-Hold $Session $record }
    elseif (-not $path -or -not (Test-Path -LiteralPath $path -PathType Leaf)) { $record.reason = 'Missing' }
    else { Watch-Script $Session $Stage $path $record }
    $record.endedMs = Get-Milliseconds
    Write-Log $Session "$Stage has ended: $($record.succeeded), exit code $($record.exitCode), $($record.reason)"
}

function Get-ScriptPath($Session, [string]$Name) {
    $path = $Session.Manifest.scripts.$Name
    if ($path -and ($Session.Manifest.source -ceq 'bucket')) { Join-Path $Session.Folder $path } else { $path }
}

function Watch-Script($Session, [string]$Stage, [string]$Path, $Record) {
    $as = Get-Account $Session
    Write-Log $Session "$Stage $($Record.argument) starts: $Path$(if ($as) { " as $as" })"
    $since = [Diagnostics.Stopwatch]::StartNew()
    # One that did not start has not run: what kept it, such as a scanner or a lack of memory, may pass.
    $begun = @{ Process = $null }
    $null = Wait-Until 6 {
        try { $begun.Process = Start-Script $Session $Stage $Path $Record.argument }
        catch {
            $why = "NotStarted: $($_.Exception.Message)"
            if ($Record.reason -cne $why) { Write-Log $Session "$Stage $why" }
            $Record.reason = $why
        }
        $null -ne $begun.Process
    }
    $process = $begun.Process
    if ($null -eq $process) { return }
    $Record.reason = 'Interrupted'
    $Record.processId = $process.Id
    $Record.startedTicks = Get-StartTicks $process
    $null = Save-State $Session
    Set-Go $Session $Stage $Path $Record
    # What Task Scheduler takes to start an account's task is the script's time, too: the freeze does not get longer.
    $seconds = $Session.Manifest.limitSeconds.$Stage
    if ($as) { $seconds -= $since.Elapsed.TotalSeconds }
    if (Test-Holds $Session $Stage) { Wait-Frozen $Session $process $Record }
    else { Read-End $Session $Stage $process $seconds $Record }
}

function Read-End($Session, [string]$Stage, $Process, [double]$Seconds, $Record) {
    $name = Get-ScriptName $Session $Stage
    if (Wait-Program $Process $Session.Copies $Seconds) {
        $code = Read-ExitCode $Session $name $Process
        if ($code -isnot [int]) {
            $Record.reason = if ($code) { $code } else { 'Unheard' }
            return
        }
        $Record.exitCode = $code
        $Record.succeeded = ($code -eq 0)
        $Record.reason = if ($Record.succeeded) { '' } else { 'ExitCode' }
        if ($Record.succeeded -and (Test-Unhandled $Session $name)) {
            $Record.succeeded = $false
            $Record.reason = 'Unhandled'
        }
    } else {
        Stop-Tree $Session $name $Process
        $Record.reason = 'TimedOut'
        Copy-Said $Session $name
    }
}

function Get-ScriptName($Session, [string]$Stage) { if (Test-Holds $Session $Stage) { 'session' } else { $Stage } }

function Test-Unhandled($Session, [string]$Name) {
    # cscript may end with 0 after an error that a script does not handle, as one of its syntax. In every language it
    # prints the file and the place: "before_x.vbs(3, 1) ...".
    $extension = [IO.Path]::GetExtension($Session.Manifest.scripts.$Name)
    if ($extension.ToLowerInvariant() -cne '.vbs') { return $false }
    if (-not (Get-Account $Session)) { Wait-Output @($Session.Copies)[-2..-1] }
    $streams = foreach ($stream in 'out', 'err') { Read-Tail (Join-Path $Session.Folder "$Name.$stream") 64KB }
    $told = foreach ($tail in $streams) { [Text.Encoding]::ASCII.GetString($tail.Bytes) }
    "$told" -cmatch '\.(?i:vbs)\([0-9]+, [0-9]+\) '
}

function Start-Script($Session, [string]$Stage, [string]$Path, [string]$Argument) {
    # Output goes to files of the session: a process that the script leaves behind would hold a pipe of the agent open.
    $account = Get-Account $Session
    if ($account) { return Start-Account $Session $account $Stage $Path $Argument }
    $name = Get-ScriptName $Session $Stage
    $files = @{}
    if ($name -ceq 'session') {
        foreach ($word in 'FROZEN', 'THAW') {
            $files["QUIESCE_$word"] = Join-Path $Session.Folder "session.$($word.ToLowerInvariant())"
        }
    }
    $program, $arguments = Get-ScriptCall $Path $Argument
    $process = Start-Program $program $arguments $Session.Folder $files
    $Session.Copies += Copy-Streams $process (Join-Path $Session.Folder "$name.out") `
        (Join-Path $Session.Folder "$name.err")
    $process
}

function Close-Script($Session, [string]$Stage, [int]$Seconds) {
    # The runner died while this script ran. The script is not run again; its process has these seconds to end.
    # A session script may not have heard that it must thaw, and gets a moment even where before gets none.
    $record = $begun = $Session.State.$Stage
    if (Test-Holds $Session $Stage) {
        Set-Hold $Session 'session.thaw'
        $Seconds = [math]::Max(5, $Seconds)
        $begun = $Session.State.before
    }
    foreach ($left in Get-LeftProcess $begun) {
        Write-Log $Session "$Stage still runs and has $Seconds s to end"
        if (-not $left.WaitForExit($Seconds * 1000)) { Stop-Tree $Session $Stage $left }
    }
    Copy-Said $Session $Stage
    if ($record.endedMs -eq 0) { $record.endedMs = Get-Milliseconds }
    Write-Log $Session "$Stage was interrupted"
}

function New-Record([string]$Reason, [string]$Argument) {
    [pscustomobject]@{
        succeeded = $false; reason = $Reason; exitCode = $null; argument = $Argument
        processId = 0; startedTicks = 0; startedMs = Get-Milliseconds; endedMs = 0
    }
}
