# quiesce's scripts under another account than SYSTEM. Written for Windows PowerShell 5.1, ASCII only.
#
# It comes with the packages of policies that name an account, and is started with one of these verbs:
#   rehearsal  by stage, as SYSTEM: the account's task begins once and runs nothing; says what is in the way
#   prepare    by the session's runner, as SYSTEM: folder, rights and task of the account
#   run        by Task Scheduler, as the account: starts the customer's script on the runner's word
# docs/operate/guest.md has the files, tasks and rights on one page.
[CmdletBinding()]
param(
    [string]$Verb = '',
    [string]$RunId = '',
    [string]$Attempt = '0'
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

# ---- The account's task ---------------------------------------------------------------------------------------------

function Invoke-Prepare($Session, [string]$Account) {
    $order = Get-AccountFile $Session 'order'
    if (-not (Test-Path -LiteralPath $order)) {
        Add-AccountFiles $Session $Account
        Write-Field $order ''
    }
    Register-Account $Session $Account
}

function Add-AccountFiles($Session, [string]$Account) {
    # All that the scripts of the session need: after must not fail for want of disk.
    Assert-AccountUsable $Account
    $null = [IO.Directory]::CreateDirectory((Get-AccountFile $Session 'said'))
    Add-Rights (Join-Path $Session.Folder 'account') $Account '(OI)(CI)(RX)'
    Add-Rights (Get-AccountFile $Session 'said') $Account '(OI)(IO)(R,W)'
    foreach ($stage in 'before', 'after', 'complete') {
        foreach ($word in 'begun', 'end') { Write-Field (Get-SaidFile $Session "$stage.$word") '' }
        foreach ($stream in 'out', 'err') {
            [IO.File]::WriteAllText((Get-SaidFile $Session "$stage.$stream"), '', [Text.Encoding]::ASCII)
        }
    }
    foreach ($file in @(Join-Path $Session.Folder 'account.ps1') + @(Get-Scripts $Session)) {
        Copy-Item -LiteralPath $file -Destination (Get-AccountFile $Session ([IO.Path]::GetFileName($file)))
    }
}

function Get-Scripts($Session) {
    # None in a rehearsal, which has no manifest yet.
    $file = Join-Path (Join-Path $Session.Folder '..') 'manifest.json'
    if (-not (Test-Path -LiteralPath $file)) { return }
    $manifest = ConvertFrom-Json -InputObject (Read-Text $file)
    foreach ($stage in 'before', 'after', 'complete') {
        $path = $manifest.scripts.$stage
        if ($path -and ($manifest.source -ceq 'bucket')) { $path = Join-Path $Session.Folder $path }
        if ($path -and (Test-Path -LiteralPath $path -PathType Leaf)) { $path }
    }
}

function Assert-AccountUsable([string]$Account) {
    # Another account of a domain would have no network without its password: then it is no better than a local one.
    $domain = @($Account -csplit '\\')[0]
    if (($Account -cmatch '\$\z') -or ($domain -eq $env:COMPUTERNAME)) { return }
    throw "$Account is neither an account of this server, $env:COMPUTERNAME, nor a gMSA: name one of these in run_as"
}

function Add-Rights([string]$Folder, [string]$Account, [string]$Rights) {
    $code = Invoke-SystemProgram 'icacls.exe' "`"$Folder`" /grant `"${Account}:$Rights`"" 30
    if ($code -ne 0) { throw "$Account can not be given rights, icacls ended with ${code}: is there such an account?" }
}

function Register-Account($Session, [string]$Account) {
    # Without a password: S4U for a local account, and of a gMSA Windows has it. schtasks.exe would ask for one.
    # As high as the account goes: without it an administrator's scripts would have a user's rights.
    $logon = if ($Account -cmatch '\$\z') { 'Password' } else { 'S4U' }
    $lines = Get-TaskXml @{ Folder = Join-Path $Session.Folder 'account' } 'account.ps1' 'run' 'Parallel' @()
    $principal = "$Account</UserId><LogonType>$logon</LogonType>"
    $xml = ($lines -join "`r`n").Replace('S-1-5-18</UserId>', $principal)
    $name = (Get-TaskName 'account').Replace('\Quiesce\', '')
    try { $null = Register-ScheduledTask -TaskName $name -TaskPath '\Quiesce\' -Xml $xml -Force }
    catch { throw "$Account is not taken by Task Scheduler: $($_.Exception.Message)" }
}

function Invoke-Rehearsal($Session, [string]$Account) {
    try {
        Invoke-Prepare $Session $Account
        Write-Order $Session 'complete' '' '' 0
        Start-Task 'account'
        $process = Wait-Begun $Session $Account 'complete'
        Write-Order $Session 'complete' '' '' -1
        $null = $process.WaitForExit(20000)
    } finally {
        $null = Invoke-Schtasks 'delete' 'account' ' /f'
        $folder = Join-Path $Session.Folder 'account'
        if (Test-Path -LiteralPath $folder) { Remove-Item -LiteralPath $folder -Recurse -Force }
    }
}

function Invoke-Run {
    # Under the account, in its folder. Only the process that the runner names goes on.
    $folder = $PSScriptRoot
    $order = Read-Order $folder
    $said = Join-Path (Join-Path $folder 'said') $order.stage
    Write-Field "$said.begun" "$PID"
    $null = Wait-Until 30 { (Read-Order $folder).go -ne 0 } 50
    $order = Read-Order $folder
    if ($order.go -ne $PID) { return }
    try {
        $program, $arguments = Get-ScriptCall (Join-Path $folder $order.script) $order.argument
        $process = Start-Program $program $arguments $folder
    } catch {
        Write-Field "$said.end" (ConvertTo-Line "NotStarted: $($_.Exception.Message)")
        return
    }
    $copies = @(Copy-Streams $process "$said.out" "$said.err")
    while (-not (Wait-Program $process $copies 3600)) { }
    Wait-Output $copies
    Write-Field "$said.end" "$($process.ExitCode)"
}

function Read-Order([string]$Folder) {
    # The runner may be writing it.
    $read = @{ Order = $null }
    $null = Wait-Until 5 {
        try { $read.Order = ConvertFrom-Json -InputObject (Read-Field (Join-Path $Folder 'order')); $true }
        catch { $false }
    }
    $read.Order
}

if ($Verb -ceq 'run') { Invoke-Run; return }
$session = @{ Folder = $PSScriptRoot }
$why = ''
try {
    $account = Get-Account $session
    if ($Verb -ceq 'rehearsal') { Invoke-Rehearsal $session $account } else { Invoke-Prepare $session $account }
} catch { $why = $_.Exception.Message }
# As JSON, which is ASCII: Windows' words may be in any language.
[IO.File]::WriteAllText((Join-Path $PSScriptRoot 'account.why'), (ConvertTo-Line $why), [Text.Encoding]::ASCII)
