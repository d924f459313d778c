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
    $path = $Session.Manifest.scripts.$(Get-ScriptName $Session $Stage)
    if ($path -and ($Session.Manifest.source -ceq 'bucket')) { $path = Join-Path $Session.Folder $path }
    if ($Session.Manifest.source -ceq 'off') { $record.succeeded = $true; $record.reason = 'Off' }
    elseif (($Stage -ceq 'after') -and (Test-Holds $Session $Stage)) { Close-Hold $Session $record }
    elseif (-not $path -or -not (Test-Path -LiteralPath $path -PathType Leaf)) { $record.reason = 'Missing' }
    else { Watch-Script $Session $Stage $path $record }
    $record.endedMs = Get-Milliseconds
    Write-Log $Session "$Stage has ended: $($record.succeeded), exit code $($record.exitCode), $($record.reason)"
}

function Watch-Script($Session, [string]$Stage, [string]$Path, $Record) {
    Write-Log $Session "$Stage $($Record.argument) starts: $Path"
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
    if (Test-Holds $Session $Stage) { Wait-Frozen $Session $process $Record }
    else { Read-End $Session $Stage $process $Session.Manifest.limitSeconds.$Stage $Record }
}

function Read-End($Session, [string]$Stage, $Process, [int]$Seconds, $Record) {
    $name = Get-ScriptName $Session $Stage
    if (Wait-Program $Process $Session.Copies $Seconds) {
        $Record.exitCode = $Process.ExitCode
        $Record.succeeded = ($Process.ExitCode -eq 0)
        $Record.reason = if ($Record.succeeded) { '' } else { 'ExitCode' }
        if ($Record.succeeded -and (Test-Unhandled $Session $name)) {
            $Record.succeeded = $false
            $Record.reason = 'Unhandled'
        }
    } else {
        Stop-Tree $Session $name $Process
        $Record.reason = 'TimedOut'
    }
}

function Get-ScriptName($Session, [string]$Stage) { if (Test-Holds $Session $Stage) { 'session' } else { $Stage } }

function Test-Unhandled($Session, [string]$Name) {
    # cscript may end with 0 after an error that a script does not handle, as one of its syntax. In every language it
    # prints the file and the place: "before_x.vbs(3, 1) ...".
    $extension = [IO.Path]::GetExtension($Session.Manifest.scripts.$Name)
    if ($extension.ToLowerInvariant() -cne '.vbs') { return $false }
    Wait-Output @($Session.Copies)[-2..-1]
    $streams = foreach ($stream in 'out', 'err') { Read-Tail (Join-Path $Session.Folder "$Name.$stream") 64KB }
    $told = foreach ($tail in $streams) { [Text.Encoding]::ASCII.GetString($tail.Bytes) }
    "$told" -cmatch '\.(?i:vbs)\([0-9]+, [0-9]+\) '
}

function Start-Script($Session, [string]$Stage, [string]$Path, [string]$Argument) {
    # Output goes to files of the session: a process that the script leaves behind would hold a pipe of the agent open.
    $program = $Path
    $arguments = $Argument
    switch -Regex ([IO.Path]::GetExtension($Path).ToLowerInvariant()) {
        '\A\.ps1\z' {
            $program = Get-SystemFile 'WindowsPowerShell\v1.0\powershell.exe'
            $arguments = Get-PowerShellArguments $Path $Argument
        }
        '\A\.(cmd|bat)\z' {
            $program = Get-SystemFile 'cmd.exe'
            $arguments = "/d /s /c `"`"$Path`" $Argument`""
        }
        '\A\.vbs\z' {
            # Not in batch mode, which keeps errors and output to itself. The engine, where an editor has the extension.
            $program = Get-SystemFile 'cscript.exe'
            $arguments = "//Nologo //E:VBScript `"$Path`" $Argument"
        }
    }
    $name = Get-ScriptName $Session $Stage
    $files = @{}
    if ($name -ceq 'session') {
        foreach ($word in 'FROZEN', 'THAW') {
            $files["QUIESCE_$word"] = Join-Path $Session.Folder "session.$($word.ToLowerInvariant())"
        }
    }
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
    if ($record.endedMs -eq 0) { $record.endedMs = Get-Milliseconds }
    Write-Log $Session "$Stage was interrupted"
}

function New-Record([string]$Reason, [string]$Argument) {
    [pscustomobject]@{
        succeeded = $false; reason = $Reason; exitCode = $null; argument = $Argument
        processId = 0; startedTicks = 0; startedMs = Get-Milliseconds; endedMs = 0
    }
}
