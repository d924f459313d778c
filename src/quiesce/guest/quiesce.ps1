# quiesce's session on a server. Written for Windows PowerShell 5.1, run as SYSTEM, ASCII only.
#
# Two scheduled tasks start it, which thaw and complete even if no verb comes any more:
#   session    the session runner: runs the scripts in their order and watches the deadlines
#   watchdog   continues a session whose runner is dead or hangs, at the deadlines and at boot; ends it on a clone
# docs/operate/guest.md has the states, files, tasks and rights on one page.
[CmdletBinding()]
param(
    [string]$Verb = '',                          # session | watchdog | recovered; thaw | complete where no task comes
    [string]$RunId = '',
    [string]$Attempt = '1'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
if ($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') {
    '{"quiesce":1,"ok":false,"error":"LanguageMode: PowerShell is constrained for SYSTEM on this server"}'
    exit 1
}
$Stages = 'before', 'after', 'complete', 'session'
$Phases = 'created', 'before', 'frozen', 'after', 'thawed', 'complete', 'ended'
$MaxFileBytes = 10MB

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

# ---- Another account than SYSTEM for the customer's scripts ---------------------------------------------------------

# Task Scheduler starts account.ps1 under the account, and that the customer's script. The account can read what is in
# the attempt's folder `account`, and write into the files of `said`, which are there before. It can make and replace no
# file, so SYSTEM never runs, reads or writes one that it has put there.

function Get-Account($Session) {
    # '' for SYSTEM. Programs of Windows know a local account by the server's name, not by ".".
    $file = Join-Path $Session.Folder 'account.txt'
    if (-not (Test-Path -LiteralPath $file)) { return '' }
    (Read-Text $file).Replace('.\', "$env:COMPUTERNAME\")
}

function Get-AccountFile($Session, [string]$Name) { Join-Path (Join-Path $Session.Folder 'account') $Name }

function Get-SaidFile($Session, [string]$Name) { Join-Path (Get-AccountFile $Session 'said') $Name }

function Wait-Begun($Session, [string]$Account, [string]$Stage) {
    # The account's process, which waits for a go with its number. The number is the account's word: what is done with
    # it is done to processes of that account alone (Stop-Tree).
    $found = @{ Process = $null }
    $said = Get-SaidFile $Session "$Stage.begun"
    $null = Wait-Until 20 {
        $number = Read-Field $said
        if ($number -cmatch '\A[1-9][0-9]{0,8}\z') {
            $found.Process = Get-Process -Id $number -ErrorAction SilentlyContinue
        }
        $null -ne $found.Process
    } 50
    if ($null -ne $found.Process) { return $found.Process }
    throw ("the task of $Account has not begun within 20 s: give it the right 'Log on as a batch job', see that it " +
        'is enabled and may run PowerShell; event 101 of Task Scheduler has the reason')
}

function Write-Order($Session, [string]$Stage, [string]$Path, [string]$Argument, [int]$Go) {
    $order = [ordered]@{ stage = $Stage; script = [IO.Path]::GetFileName($Path); argument = $Argument; go = $Go }
    Write-Field (Get-AccountFile $Session 'order') (ConvertTo-Line $order)
}

function Write-Field([string]$Path, [string]$Text) {
    # Always as long, over what is there: a full disk takes that, too.
    $bytes = [Text.Encoding]::ASCII.GetBytes($Text + (' ' * (1000 - $Text.Length)))
    $stream = [IO.File]::Open($Path, 'OpenOrCreate', 'Write', 'ReadWrite')
    try {
        $stream.Write($bytes, 0, $bytes.Length)
        $stream.Flush($true)
    } finally { $stream.Dispose() }
}

function Read-Field([string]$Path) { (Read-Text $Path) -creplace '\s+\z' }

# ---- How a script is started ----------------------------------------------------------------------------------------

function Get-ScriptCall([string]$Path, [string]$Argument) {
    # The program that runs a script, and its arguments.
    switch -Regex ([IO.Path]::GetExtension($Path).ToLowerInvariant()) {
        '\A\.ps1\z' {
            return (Get-SystemFile 'WindowsPowerShell\v1.0\powershell.exe'), (Get-PowerShellArguments $Path $Argument)
        }
        '\A\.(cmd|bat)\z' { return (Get-SystemFile 'cmd.exe'), "/d /s /c `"`"$Path`" $Argument`"" }
        '\A\.vbs\z' {
            # Not in batch mode, which keeps errors and output to itself. The engine, where an editor has the extension.
            return (Get-SystemFile 'cscript.exe'), "//Nologo //E:VBScript `"$Path`" $Argument"
        }
    }
    $Path, $Argument
}

# ---- Programs whose output is copied --------------------------------------------------------------------------------

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

# ---- What Windows says through CIM ----------------------------------------------------------------------------------

function Read-Cim([string]$Class, [string]$Namespace = 'root/cimv2') {
    Read-Fact $Class { Get-CimInstance -Namespace $Namespace -ClassName $Class -OperationTimeoutSec 20 } |
        Where-Object { $null -ne $_ }
}

function Read-Copies([string]$SetId) {
    # The shadow copies of a set; $null if CIM does not answer. CIM's ids are in upper case, DiskShadow's in lower.
    try {
        $all = @(Get-CimInstance -Namespace 'root/cimv2' -ClassName 'Win32_ShadowCopy' -OperationTimeoutSec 20)
    } catch { [Console]::Error.WriteLine("Win32_ShadowCopy: $($_.Exception.Message)"); return $null }
    , @($all | Where-Object { $_.SetID -eq $SetId })
}

function Read-Storage {
    # The shadow storage of each volume.
    foreach ($storage in Read-Cim 'Win32_ShadowStorage') {
        [ordered]@{
            volumeGuid = $storage.Volume.DeviceID; storageGuid = $storage.DiffVolume.DeviceID
            usedBytes = $storage.UsedSpace; allocatedBytes = $storage.AllocatedSpace; maxBytes = $storage.MaxSpace
        }
    }
}

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

# ---- A server that was launched from a recovery point of another one ------------------------------------------------

function Close-Clone($Session, [string]$Own) {
    # The session that the snapshots found open is the other server's: here it ends, and its tasks go. No script runs,
    # because beside the other server after may register the application a second time; AWS may ask for it. No shadow
    # copy is deleted: somebody may want to go back to it.
    $state = $Session.State
    if ($state.phase -cne 'ended') {
        Write-Log $Session "this is $Own, not $($state.instance): the session, which was $($state.phase), ends here"
        $cloned = [ordered]@{ instance = $Own; phase = $state.phase }
        $state | Add-Member -NotePropertyName 'cloned' -NotePropertyValue $cloned -Force
        $state.endedMs = Get-Milliseconds
        $state.phase = 'ended'
        if (-not (Save-State $Session)) { throw "StateNotWritten: the session is still $($cloned.phase)" }
    }
    Remove-Tasks $RunId $Attempt
}

function Test-AfterOwed($Session) {
    # Whether before has succeeded, and after has not begun. What a session script held, it does not hold here.
    ($null -ne $Session.State.before) -and $Session.State.before.succeeded -and ($null -eq $Session.State.after) -and
        -not (Test-Holds $Session 'after')
}

# ---- The session's state --------------------------------------------------------------------------------------------

function Save-State($Session) {
    # Replaces the file, so that a reader never sees half of it. $false if it cannot be written, as on a full disk.
    $file = Join-Path $Session.Folder 'state.json'
    $saved = Wait-Until 1 {
        try {
            Write-Through "$file.new" (ConvertTo-Line $Session.State)
            if (Test-Path -LiteralPath $file) { [IO.File]::Replace("$file.new", $file, "$file.old") }
            else { [IO.File]::Move("$file.new", $file) }
            $true
        } catch [IO.IOException], [UnauthorizedAccessException] { $false }
    }
    $Session.Unsaved = -not $saved
    $saved
}

function Set-Phase($Session, [string]$Phase) {
    if (Test-Reached $Session $Phase) { return }
    $Session.State.phase = $Phase
    $null = Save-State $Session
}

# ---- The tasks of a session -----------------------------------------------------------------------------------------

function Start-Runner($Session) {
    # The watchdog first: from then on the server thaws by itself. Tasks are not children of the agent and hold no pipe.
    Register-Watchdog $Session
    Register-Task $Session 'session' 'IgnoreNew' @()
    Start-Task 'session'
}

function Register-Watchdog($Session) {
    # It looks more than once: the runner may hang, and a watchdog too, so a second one may start beside the first.
    $limit = $Session.Manifest.limitSeconds
    $deadlines = foreach ($late in 30, 90, 330) {
        Get-Trigger ($limit.before + $limit.freeze + $late)
        Get-Trigger ($limit.session + $late)
    }
    Register-Task $Session 'watchdog' 'Parallel' (@('    <BootTrigger />') + $deadlines)
}

function Register-Task($Session, [string]$Mode, [string]$Instances, [string[]]$Triggers) {
    $file = Join-Path $Session.Folder "$Mode.xml"
    $lines = Get-TaskXml $Session 'quiesce.ps1' $Mode $Instances $Triggers
    [IO.File]::WriteAllText($file, ($lines -join "`r`n"), [Text.Encoding]::Unicode)
    $code = Invoke-Schtasks 'create' $Mode " /xml `"$file`" /f"
    if ($code -ne 0) { throw "TaskNotCreated: schtasks ended with $code" }
}

function Start-Task([string]$Mode, [double]$Seconds = 0, [scriptblock]$Done = { $false }) {
    # With $Seconds returns whether $Done holds in time. What did it a moment before, for another verb, has removed the
    # task: then its start fails, and that does not matter.
    $code = Invoke-Schtasks 'run' $Mode ''
    if (($code -ne 0) -and -not (& $Done)) { throw "TaskNotStarted: schtasks ended with $code" }
    if ($Seconds) { Wait-Until $Seconds $Done }
}

function Start-Watchdog($Session) {
    # Where Task Scheduler does not. It ends with what this verb has asked for.
    $script = Join-Path $Session.Folder 'quiesce.ps1'
    $call = Get-PowerShellArguments $script "-Verb $Verb -RunId $RunId -Attempt $Attempt"
    $process = Start-Program (Get-SystemFile 'WindowsPowerShell\v1.0\powershell.exe') $call $Session.Folder
    $null = Copy-Streams $process '' ''
}

function Remove-Tasks([string]$RunId, [string]$Attempt) {
    # The exit codes do not matter: a task left behind finds that its session has ended, and comes here again.
    foreach ($mode in 'account', 'session', 'watchdog') { $null = Invoke-Schtasks 'delete' $mode ' /f' }
}

function Get-TaskName([string]$Mode) { "\Quiesce\$Mode-$RunId-$Attempt" }

function Get-TaskXml($Session, [string]$File, [string]$Mode, [string]$Instances, [string[]]$Triggers) {
    # SYSTEM by SID: its names are localised. The default priority is below normal, the default limit three days.
    $program = [Security.SecurityElement]::Escape((Get-SystemFile 'WindowsPowerShell\v1.0\powershell.exe'))
    $call = Get-PowerShellArguments (Join-Path $Session.Folder $File) "-Verb $Mode -RunId $RunId -Attempt $Attempt"
    $arguments = [Security.SecurityElement]::Escape($call)
    @('<?xml version="1.0" encoding="UTF-16"?>',
      '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">',
      '  <Triggers>') + $Triggers + @('  </Triggers>',
      '  <Principals><Principal id="Author"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel>',
      '  </Principal></Principals>',
      '  <Settings>',
      "    <MultipleInstancesPolicy>$Instances</MultipleInstancesPolicy>",
      '    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>',
      '    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries><StartWhenAvailable>true</StartWhenAvailable>',
      '    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>',
      '    <Priority>4</Priority>',
      '  </Settings><Actions Context="Author"><Exec>',
      "    <Command>$program</Command>",
      "    <Arguments>$arguments</Arguments>",
      '  </Exec></Actions>',
      '</Task>')
}

function Get-Trigger([int]$Seconds) {
    $time = Format-Time ([datetime]::UtcNow.AddSeconds($Seconds)) "yyyy-MM-dd'T'HH:mm:ss'Z'"
    "    <TimeTrigger><StartBoundary>$time</StartBoundary></TimeTrigger>"
}

function Invoke-Schtasks([string]$Action, [string]$Mode, [string]$Rest) {
    # Seen never to return, so it has a limit.
    Invoke-SystemProgram 'schtasks.exe' "/$Action /tn $(Get-TaskName $Mode)$Rest" 30
}

# ---- Programs that are run to their end -----------------------------------------------------------------------------

function Get-PowerShellArguments([string]$File, [string]$Rest) {
    "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File `"$File`" $Rest"
}

function Copy-Streams($Process, [string]$Output, [string]$Errors) {
    # Copies what a program prints as it comes, to files, or to nowhere: else it would stop at a full pipe.
    foreach ($pair in @($Process.StandardOutput, $Output), @($Process.StandardError, $Errors)) {
        $stream, $target = $pair[0].BaseStream, [IO.Stream]::Null
        try { if ($pair[1]) { $target = New-Object IO.FileStream $pair[1], 'Create', 'Write', 'ReadWrite, Delete', 1 } }
        catch [IO.IOException], [UnauthorizedAccessException] { [Console]::Error.WriteLine($_.Exception.Message) }
        @{ Stream = $stream; Copying = $stream.CopyToAsync($target) }
    }
}

function Invoke-SystemProgram([string]$Name, [string]$Arguments, [int]$Seconds) {
    # Returns the exit code, or words if it had to be ended; its output is in the server's language, so it is dropped.
    $process = Start-Program (Get-SystemFile $Name) $Arguments ''
    $null = Copy-Streams $process '' ''
    if ($process.WaitForExit($Seconds * 1000)) { return $process.ExitCode }
    $process.Kill()
    "nothing within $Seconds s"
}

# ---- Files and folders that are made --------------------------------------------------------------------------------

function Move-Once([string]$Draft, [string]$Target) {
    # The file or folder appears whole or not at all. $true for the first caller; a later one uses the first one's.
    # Retried, because a virus scanner that reads the draft prevents the move for a moment.
    $null = Wait-Until 5 {
        if (Test-Path -LiteralPath $Target) { return $true }
        try {
            if (Test-Path -LiteralPath $Draft -PathType Leaf) { [IO.File]::Move($Draft, $Target) }
            else { [IO.Directory]::Move($Draft, $Target) }
            $true
        } catch [IO.IOException], [UnauthorizedAccessException] { $false }
    }
    if (-not (Test-Path -LiteralPath $Draft)) { return $true }
    Remove-Item -LiteralPath $Draft -Recurse -Force
    if (-not (Test-Path -LiteralPath $Target)) { throw "NotMade: $Target" }
    $false
}

function Write-Through([string]$Path, [string]$Text) {
    # Down to the disk: without it a hard stop leaves the file's name and length, and zeros in it.
    $bytes = [Text.Encoding]::ASCII.GetBytes($Text)
    $stream = [IO.File]::Open($Path, 'Create', 'Write', 'None')
    try {
        $stream.Write($bytes, 0, $bytes.Length)
        $stream.Flush($true)
    } finally { $stream.Dispose() }
}

function New-Flag([string]$Path, [string]$Text) {
    if (Test-Path -LiteralPath $Path) { return $false }
    $draft = Get-DraftName $Path
    Write-Through $draft $Text
    Move-Once $draft $Path
}

function Set-Word([string]$Path, [string]$Text) {
    # Why a flag cannot be left, as on a full disk; '' if it is there.
    try { $null = New-Flag $Path $Text; '' }
    catch [IO.IOException], [UnauthorizedAccessException] { $_.Exception.Message }
}

function Open-Lock([string]$Path) {
    # A file opened without sharing: Windows frees it when its holder dies. $null while another process holds it.
    try { [IO.File]::Open($Path, 'OpenOrCreate', 'ReadWrite', 'None') }
    catch [IO.IOException], [UnauthorizedAccessException] { $null }
}

function Wait-Lock([string]$Path, [double]$Seconds) {
    $held = @{ Lock = $null }
    if (-not (Wait-Until $Seconds { $held.Lock = Open-Lock $Path; $null -ne $held.Lock })) { throw "Busy: $Path" }
    $held.Lock
}

# ---- The sessions on this server, as their files tell ---------------------------------------------------------------

function Read-Session {
    # Reads the attempt's folder, whichever server it was made on.
    $run = Get-RunFolder
    if (-not (Test-Path -LiteralPath $run)) { throw "NotStaged: $RunId" }
    Assert-Trusted (Get-Root)
    $manifest = ConvertFrom-Json -InputObject (Read-Text (Join-Path $run 'manifest.json'))
    @{ Run = $run; Folder = Join-Path $run $Attempt; Manifest = $manifest; State = $null; Unsaved = $false
       Doubt = ''; DiskShadow = $null; Holder = $null; CreateSeconds = 0; Copies = @() }
}

function Open-Session {
    # As every verb of the session's own server does. This refuses a clone.
    $session = Read-Session
    $session.Doubt = Get-Doubt $session.Manifest.instance
    $session
}

function Read-State([string]$Folder) {
    # While Windows replaces the file it may be missing for a moment. After a hard stop, and so in a recovered C:, the
    # newest may be zeros, empty or half: then the one before it counts, or the next, which takes that one's place.
    $read = @{ State = $null }
    foreach ($name in 'state.json', 'state.json.old', 'state.json') {
        $file = Join-Path $Folder $name
        $found = Wait-Until 3 {
            try {
                $read.State = ConvertFrom-Json -InputObject (Read-Text $file)
                $Phases -ccontains $read.State.phase
            } catch [IO.IOException], [UnauthorizedAccessException] { $false }
            catch { $read.State = $null; $true }
        }
        if ($found -and ($null -ne $read.State)) { return $read.State }
    }
    throw "StateUnreadable: $Folder"
}

function Update-State($Session) { $Session.State = Read-State $Session.Folder }

function Get-Attempts([string]$Run) {
    # A name with a dot is a draft: its process is about to move it, or died. A missing run was old and just removed.
    if ([IO.Path]::GetFileName($Run) -cmatch '\.') { return }
    try { $folders = [IO.Directory]::GetDirectories($Run) } catch [IO.DirectoryNotFoundException] { return }
    $folders | Where-Object {
        ([IO.Path]::GetFileName($_) -cmatch '\A[0-9]+\z') -and (Test-Path -LiteralPath (Join-Path $_ 'runner.lock'))
    }
}

function Get-Sessions {
    # Every session on this server; its State is $null if it cannot be read.
    $runs = Join-Path (Get-Root) 'runs'
    if (-not (Test-Path -LiteralPath $runs)) { return }
    foreach ($run in [IO.Directory]::GetDirectories($runs)) {
        foreach ($folder in Get-Attempts $run) {
            @{ Run = $run; Folder = $folder; Name = "$([IO.Path]::GetFileName($run))/$([IO.Path]::GetFileName($folder))"
               State = Read-Fact $folder { Read-State $folder } }
        }
    }
}

function Get-Overdue([string]$Owner) {
    # The sessions that are open an hour past their limit, whatever the reason: their tasks are gone or do not start,
    # or the clock was ahead when they began.
    foreach ($session in @(Get-Sessions)) {
        $state = $session.State
        if (($null -eq $state) -or ($state.instance -cne $Owner) -or ($state.phase -ceq 'ended')) { continue }
        $manifest = ConvertFrom-Json -InputObject (Read-Text (Join-Path $session.Run 'manifest.json'))
        $age = [math]::Abs((Get-Milliseconds) - $state.createdMs) / 1000
        if ($age -le $manifest.limitSeconds.session + 3600) { continue }
        [ordered]@{ run = $state.run; attempt = $state.attempt; phase = $state.phase; createdMs = $state.createdMs }
    }
}

function Get-Strange([string]$Owner) {
    # The sessions that nobody here can go on with: unreadable ones, and those of the server that this one is a copy of.
    $strange = [ordered]@{ unreadable = @(); foreign = @() }
    foreach ($session in @(Get-Sessions)) {
        if ($null -eq $session.State) { $strange.unreadable += $session.Name }
        elseif (($session.State.instance -cne $Owner) -and ($session.State.phase -cne 'ended')) {
            $strange.foreign += "$($session.Name) of $($session.State.instance)"
        }
    }
    $strange
}

# ---- Whose server this is, and whose folder -------------------------------------------------------------------------

function Get-Root { Join-Path $env:ProgramData 'Quiesce' }

function Get-RunFolder { Join-Path (Join-Path (Get-Root) 'runs') $RunId }

function Test-Ours([string]$Path) {
    # Whether SYSTEM or Administrators own it, and it is no link.
    $attributes = (Get-Item -LiteralPath $Path -Force).Attributes
    if ($attributes -band [IO.FileAttributes]::ReparsePoint) { return $false }
    (Get-Acl -LiteralPath $Path).Sddl -cmatch '\AO:(SY|BA)G:'
}

function Test-Closed([string]$Folder) {
    # Whether nobody but SYSTEM and Administrators has rights on it, and nothing of another's may be left in it.
    (Get-Acl -LiteralPath $Folder).Sddl -cmatch '\AO:(SY|BA)G:[^:]+D:P(AI)?(\(A;OICI;FA;;;(SY|BA)\))+\z' -and
        -not (Test-Path -LiteralPath (Join-Path $Folder 'adopting'))
}

function Assert-Trusted([string]$Folder) {
    # SYSTEM runs the files in here. Users may create folders in ProgramData, so one may have made this before us.
    if (-not (Test-Ours $Folder)) { throw "FolderNotTrusted: $Folder is a link, or another's" }
    if (-not (Test-Closed $Folder)) { throw "FolderNotTrusted: $Folder has $((Get-Acl -LiteralPath $Folder).Sddl)" }
}

function Get-Metadata([string]$Method, [string]$Path, [string]$Header, [string]$Value) {
    # Never through a proxy: it would return the id of its own server.
    $endpoint = 'http://169.254.169.254'
    if ($env:AWS_EC2_METADATA_SERVICE_ENDPOINT) { $endpoint = $env:AWS_EC2_METADATA_SERVICE_ENDPOINT }
    $request = [Net.WebRequest]::Create("$endpoint$Path")
    $request.Proxy = $null
    $request.Method = $Method
    $request.Timeout = 2000
    $request.Headers.Add($Header, $Value)
    $response = $request.GetResponse()
    try { (New-Object IO.StreamReader $response.GetResponseStream()).ReadToEnd() } finally { $response.Dispose() }
}

function Get-OwnIdentity {
    # From IMDSv2, which comes up late after a boot; else from the agent, which passes it to verbs only; else '' and
    # why. Where that is not known a clone's application is thawed unasked, so soon after a boot this waits for longer.
    $own = @{ Id = "$env:AWS_SSM_INSTANCE_ID"; Why = '' }
    $upMs = [Environment]::TickCount                 # negative after 25 days
    $seconds = if ($own.Id) { 0 } elseif (($upMs -ge 0) -and ($upMs -lt 300000)) { 120 } else { 8 }
    $null = Wait-Until $seconds {
        try {
            $token = Get-Metadata 'PUT' '/latest/api/token' 'X-aws-ec2-metadata-token-ttl-seconds' '60'
            $own.Id = Get-Metadata 'GET' '/latest/meta-data/instance-id' 'X-aws-ec2-metadata-token' $token
            $true
        } catch [Net.WebException], [IO.IOException], [UnauthorizedAccessException] {
            $own.Why = "no answer of the metadata service: $($_.Exception.Message)"
            $false
        }
    }
    $own
}

function Get-Doubt([string]$Owner) {
    # A recovery point contains this folder and its tasks. On a server booted from it, they must not act.
    # Returns why the server's id is not known, or '': if not, after still runs, but nothing that cannot be undone.
    $own = Get-OwnIdentity
    if ($own.Id -and ($own.Id -cne $Owner)) { throw "ForeignServer: this is $($own.Id), not $Owner" }
    if ($own.Id) { '' } else { $own.Why }
}

function Assert-Own([string]$Owner) {
    $doubt = Get-Doubt $Owner
    if ($doubt) { throw "IdentityUnknown: $doubt" }
}

# ---- Programs of Windows --------------------------------------------------------------------------------------------

function Get-SystemFile([string]$Name) {
    # The full path: SYSTEM must never search the PATH for a program.
    Join-Path (Join-Path $env:SystemRoot 'System32') $Name
}

function Start-Program([string]$Program, [string]$Arguments, [string]$Folder, $Variables = @{}) {
    # Throws only if it has not started. Holds the process from its birth: 5.1's Start-Process looks it up by its number
    # later, and of one that was quicker it knows neither start nor exit code. Both of its streams must be copied.
    $start = New-Object Diagnostics.ProcessStartInfo $Program, $Arguments
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardOutput = $start.RedirectStandardError = $true
    $start.WorkingDirectory = $Folder
    foreach ($name in $Variables.Keys) { $start.EnvironmentVariables[$name] = $Variables[$name] }
    [Diagnostics.Process]::Start($start)
}

# ---- Text, time, waiting --------------------------------------------------------------------------------------------

function Get-Milliseconds {
    # Since 1970, UTC. Numbers, because PowerShell versions disagree about dates in JSON.
    [long][math]::Floor(([datetime]::UtcNow.Ticks - 621355968000000000) / 10000)
}

function Format-Time([datetime]$Time, [string]$Form) {
    $Time.ToString($Form, [Globalization.CultureInfo]::InvariantCulture)
}

function ConvertTo-Line($Value) {
    # ASCII only: the code page between the agent and us is unknown.
    $json = ConvertTo-Json -InputObject $Value -Compress -Depth 8
    [regex]::Replace($json, '[^\x20-\x7e]', { param($match) '\u{0:x4}' -f [int][char]$match.Value })
}

function Open-Shared([string]$Path) {
    # Shares everything, so that the writer can replace the file meanwhile.
    [IO.File]::Open($Path, 'Open', 'Read', 'ReadWrite, Delete')
}

function Read-Text([string]$Path) {
    $stream = Open-Shared $Path
    try { (New-Object IO.StreamReader $stream).ReadToEnd() } finally { $stream.Dispose() }
}

function Read-Tail([string]$Path, [int]$MaxBytes) {
    # The end of a file that another process may be writing or replacing.
    $tail = @{ Bytes = @(); Mark = 'unreadable-' }
    $null = Wait-Until 3 {
        try { $stream = Open-Shared $Path } catch [IO.IOException], [UnauthorizedAccessException] { return $false }
        try {
            $tail.Mark = if ($stream.Length -gt $MaxBytes) { 'cut-' } else { '' }
            if ($tail.Mark) { $stream.Position = $stream.Length - $MaxBytes }
            $tail.Bytes = (New-Object IO.BinaryReader $stream).ReadBytes($MaxBytes)
        } finally { $stream.Dispose() }
        $true
    }
    $tail
}

function Read-Fact([string]$Name, [scriptblock]$Read) {
    # $null where Windows does not answer; the reason goes to the command's stderr.
    try { & $Read } catch { [Console]::Error.WriteLine("${Name}: $($_.Exception.Message)"); $null }
}

function Wait-Until([double]$Seconds, [scriptblock]$Condition, [int]$EveryMs = 200) {
    # A stopwatch, not the clock: the clock may be set back while an application is frozen.
    $elapsed = [Diagnostics.Stopwatch]::StartNew()
    while (-not (& $Condition)) {
        if ($elapsed.Elapsed.TotalSeconds -ge $Seconds) { return $false }
        Start-Sleep -Milliseconds $EveryMs
    }
    $true
}

function Get-DraftName([string]$Path) { "$Path.$([guid]::NewGuid())" }

# ---- The task that starts this --------------------------------------------------------------------------------------

# Its output and its exit code are nobody's.
Invoke-Task (Read-Session)
