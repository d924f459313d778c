# quiesce on the server. Written for Windows PowerShell 5.1, run as SYSTEM, ASCII only.
#
# AWS sends a verb through Systems Manager (document.yaml is made from this file):
#   inventory  reports the server's Windows and the disks that its drives are on; changes nothing
#   stage      saves what the sessions of a run need in the run's folder
#   freeze     starts the session of one attempt, answers when the application is frozen
#   thaw       has the after script run, answers when it has ended
#   complete   has the complete script run, answers when the session has ended
#   collect    sends the files of a session to the bucket; changes nothing here
# Two scheduled tasks thaw and complete even if no verb comes any more:
#   session    the session runner: runs the scripts in their order and watches the deadlines
#   watchdog   continues a session whose runner is dead, at the deadlines and at boot
# Each answer is one line of JSON on stdout and exit code 0 or 1, never that of a script: 3010 would reboot the server.
# docs/operate/guest.md has the states, files, tasks and rights on one page.
[CmdletBinding()]
param(
    [string]$Verb = '',
    [string]$RunId = '',
    [string]$Attempt = '1',
    [string]$InstanceId = 'none',                   # inventory, stage: the target server
    [string]$Policy = 'none',                       # stage: from here to SessionLimitSeconds
    [string]$Scripts = 'off',                    # off | bucket | server
    [string]$BeforeLink = 'none',                # one object version each
    [string]$AfterLink = 'none',
    [string]$CompleteLink = 'none',
    [string]$BeforeTimeoutSeconds = '60',
    [string]$AfterTimeoutSeconds = '60',
    [string]$CompleteTimeoutSeconds = '300',
    [string]$FreezeLimitSeconds = '120',         # from the end of the before script
    [string]$SessionLimitSeconds = '100800',     # from the start of the session
    [string]$ShadowScript = 'none',              # stage: DiskShadow's lines, joined by |, * for the attempt's folder
    [string]$CreateTimeoutSeconds = '180',       # stage
    [string]$AbortShadowCopies = 'false',        # thaw: another attempt will follow
    [string]$Succeeded = 'false',                # complete: whether the whole backup succeeded in AWS
    [string]$WaitSeconds = '60',                 # freeze, thaw, complete: how long to wait for the answer
    [string]$UploadLink = 'none',                # collect: presigned link for one object
    [string]$CollectOutput = 'false'             # collect: send the scripts' output, too
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
if ($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') {
    '{"quiesce":1,"ok":false,"error":"LanguageMode: PowerShell is constrained for SYSTEM on this server"}'
    exit 1
}
$Stages = 'before', 'after', 'complete'
$Phases = 'created', 'before', 'frozen', 'after', 'thawed', 'complete', 'ended'
$MaxDrives = 60                                  # the agent cuts an answer at 24,000 characters
$MaxDriveCharacters = 16000
$StorageApi = 'root/Microsoft/Windows/Storage'
$MaxFileBytes = 10MB
$MaxAnswerCharacters = 23000
$MaxLogCharacters = 9000
$MaxStorage = 60
$MaxEvents = 200
$Startable = '.ps1', '.cmd', '.bat', '.exe', '.com'

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

function Wait-Until([double]$Seconds, [scriptblock]$Condition) {
    # A stopwatch, not the clock: the clock may be set back while an application is frozen.
    $elapsed = [Diagnostics.Stopwatch]::StartNew()
    while (-not (& $Condition)) {
        if ($elapsed.Elapsed.TotalSeconds -ge $Seconds) { return $false }
        Start-Sleep -Milliseconds 200
    }
    $true
}

function Get-DraftName([string]$Path) { "$Path.$([guid]::NewGuid())" }

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

function Write-Lines([string]$Path, [string[]]$Lines) {
    # For Windows programs: ASCII, each line ends with CR and LF. Without the last one DiskShadow drops a letter.
    [IO.File]::WriteAllText($Path, ($Lines -join "`r`n") + "`r`n", [Text.Encoding]::ASCII)
}

function New-Flag([string]$Path, [string]$Text) {
    if (Test-Path -LiteralPath $Path) { return $false }
    $draft = Get-DraftName $Path
    [IO.File]::WriteAllText($draft, $Text, [Text.Encoding]::ASCII)
    Move-Once $draft $Path
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

# ---- Programs of Windows --------------------------------------------------------------------------------------------

function Get-SystemFile([string]$Name) {
    # The full path: SYSTEM must never search the PATH for a program.
    Join-Path (Join-Path $env:SystemRoot 'System32') $Name
}

function Get-PowerShellArguments([string]$File, [string]$Rest) {
    "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File `"$File`" $Rest"
}

function Invoke-SystemProgram([string]$Name, [string[]]$Arguments) {
    # Returns the exit code; the program's output is in the server's language, so it is dropped.
    $null = & (Get-SystemFile $Name) $Arguments
    $LASTEXITCODE
}

# ---- The folder, and whose server this is ---------------------------------------------------------------------------

function Get-Root { Join-Path $env:ProgramData 'Quiesce' }

function Get-RunFolder { Join-Path (Join-Path (Get-Root) 'runs') $RunId }

function Assert-Trusted([string]$Folder) {
    # SYSTEM runs the files in here. Users may create folders in ProgramData, so one may have made this before us.
    $attributes = (Get-Item -LiteralPath $Folder -Force).Attributes
    if ($attributes -band [IO.FileAttributes]::ReparsePoint) { throw "FolderNotTrusted: $Folder is a link" }
    $sddl = (Get-Acl -LiteralPath $Folder).Sddl
    $ours = '\AO:(SY|BA)G:[^:]+D:P(AI)?(\(A;OICI;FA;;;(SY|BA)\))+\z'
    if (-not ($sddl -cmatch $ours)) { throw "FolderNotTrusted: $Folder has $sddl" }
}

function Initialize-Root {
    # Created under another name, and moved into place once only SYSTEM and Administrators can write to it.
    $root = Get-Root
    if (-not (Test-Path -LiteralPath $root)) {
        $draft = Get-DraftName $root
        $null = New-Item -ItemType Directory -Path $draft
        $rights = '/inheritance:r', '/grant:r', '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F'
        $code = Invoke-SystemProgram 'icacls.exe' (@($draft) + $rights)
        if ($code -ne 0) { throw "FolderNotTrusted: icacls ended with $code" }
        if (@(Get-ChildItem -LiteralPath $draft -Force).Count -gt 0) { throw "FolderNotTrusted: $draft was not empty" }
        $null = Move-Once $draft $root
    }
    Assert-Trusted $root
    foreach ($name in 'runs', 'scripts') { $null = [IO.Directory]::CreateDirectory((Join-Path $root $name)) }
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

function Get-OwnInstanceId {
    # From IMDSv2, which may come up late after a boot; else from the agent, which passes it to verbs only; else ''.
    $own = @{ Id = "$env:AWS_SSM_INSTANCE_ID" }
    $null = Wait-Until $(if ($own.Id) { 0 } else { 8 }) {
        try {
            $token = Get-Metadata 'PUT' '/latest/api/token' 'X-aws-ec2-metadata-token-ttl-seconds' '60'
            $own.Id = Get-Metadata 'GET' '/latest/meta-data/instance-id' 'X-aws-ec2-metadata-token' $token
            $true
        } catch [Net.WebException], [IO.IOException], [UnauthorizedAccessException] { $false }
    }
    $own.Id
}

function Assert-NotClone([string]$Owner) {
    # A recovery point contains this folder and its tasks. On a server booted from it, they must not act.
    # Returns whether the server's id is known: if not, after still runs, but nothing that cannot be undone.
    $own = Get-OwnInstanceId
    if ($own -and ($own -cne $Owner)) { throw "ForeignServer: this is $own, not $Owner" }
    [bool]$own
}

# ---- The session: its folder, state, log and tasks ------------------------------------------------------------------

function Open-Session {
    # Reads the attempt's folder. This refuses a clone, for every verb and task alike.
    $run = Get-RunFolder
    if (-not (Test-Path -LiteralPath $run)) { throw "NotStaged: $RunId" }
    Assert-Trusted (Get-Root)
    $manifest = ConvertFrom-Json -InputObject (Read-Text (Join-Path $run 'manifest.json'))
    @{ Run = $run; Folder = Join-Path $run $Attempt; Manifest = $manifest; State = $null; Unsaved = $false
       Certain = Assert-NotClone $manifest.instance; DiskShadow = $null; CreateSeconds = 0 }
}

function Read-State([string]$Folder) {
    # While Windows replaces the file it may be missing for a moment; if that fails half-way, for good.
    $read = @{ State = $null }
    foreach ($name in 'state.json', 'state.json.old') {
        $file = Join-Path $Folder $name
        $found = Wait-Until 3 {
            try { $read.State = ConvertFrom-Json -InputObject (Read-Text $file); $true }
            catch [IO.IOException], [UnauthorizedAccessException] { $false }
        }
        if ($found) { return $read.State }
    }
    throw "StateUnreadable: $Folder"
}

function Update-State($Session) { $Session.State = Read-State $Session.Folder }

function Save-State($Session) {
    # Replaces the file, so that a reader never sees half of it. $false if it cannot be written, as on a full disk.
    $file = Join-Path $Session.Folder 'state.json'
    $saved = Wait-Until 1 {
        try {
            [IO.File]::WriteAllText("$file.new", (ConvertTo-Line $Session.State), [Text.Encoding]::ASCII)
            if (Test-Path -LiteralPath $file) { [IO.File]::Replace("$file.new", $file, "$file.old") }
            else { [IO.File]::Move("$file.new", $file) }
            $true
        } catch [IO.IOException], [UnauthorizedAccessException] { $false }
    }
    $Session.Unsaved = -not $saved
    $saved
}

function Write-Log($Session, [string]$Text) {
    # For operators. A log that cannot be written must not keep an application frozen.
    $line = "$(Format-Time ([datetime]::UtcNow) "yyyy-MM-dd'T'HH:mm:ss.fff'Z'") $Verb[$PID] $Text`r`n"
    try { [IO.File]::AppendAllText((Join-Path $Session.Folder 'session.log'), $line, [Text.Encoding]::ASCII) }
    catch [IO.IOException], [UnauthorizedAccessException] { $Session.Unsaved = $true }
}

function Test-Reached($Session, [string]$Phase) {
    [array]::IndexOf($Phases, $Session.State.phase) -ge [array]::IndexOf($Phases, $Phase)
}

function Set-Phase($Session, [string]$Phase) {
    if (Test-Reached $Session $Phase) { return }
    $Session.State.phase = $Phase
    $null = Save-State $Session
}

function New-Session($Session) {
    # Makes the attempt's folder from the staged files, and fails if one has changed since.
    $draft = Get-DraftName $Session.Folder
    $null = New-Item -ItemType Directory -Path $draft
    foreach ($file in @($Session.Manifest.files)) {
        $copy = Join-Path $draft $file.name
        Copy-Item -LiteralPath (Join-Path $Session.Run $file.name) -Destination $copy
        $hash = (Get-FileHash -LiteralPath $copy -Algorithm SHA256).Hash
        if ($hash -cne $file.sha256) { throw "StagedFileChanged: $($file.name)" }
    }
    $state = [ordered]@{
        run = $RunId; attempt = [int]$Attempt; instance = $Session.Manifest.instance; phase = 'created'
        autoThawed = $false; runnerLost = $false; createdMs = Get-Milliseconds; frozenMs = 0; endedMs = 0
        before = $null; after = $null; complete = $null
        shadow = if ($Session.Manifest.shadowScript -ceq 'none') { $null } else { New-Shadow }
    }
    [IO.File]::WriteAllText((Join-Path $draft 'state.json'), (ConvertTo-Line $state), [Text.Encoding]::ASCII)
    [IO.File]::WriteAllText((Join-Path $draft 'runner.lock'), '', [Text.Encoding]::ASCII)
    $null = Move-Once $draft $Session.Folder
}

function Get-Attempts([string]$Run) {
    # A name with a dot is a draft: its process is about to move it, or died. A missing run was old and just removed.
    if ([IO.Path]::GetFileName($Run) -cmatch '\.') { return }
    try { $folders = [IO.Directory]::GetDirectories($Run) } catch [IO.DirectoryNotFoundException] { return }
    $folders | Where-Object {
        ([IO.Path]::GetFileName($_) -cmatch '\A[0-9]+\z') -and (Test-Path -LiteralPath (Join-Path $_ 'runner.lock'))
    }
}

function Get-Overdue([string]$Owner) {
    # The sessions that are open an hour past their limit, whatever the reason: their tasks are gone or do not start,
    # or the clock was ahead when they began.
    $runs = Join-Path (Get-Root) 'runs'
    if (-not (Test-Path -LiteralPath $runs)) { return }
    Assert-Trusted (Get-Root)
    foreach ($run in [IO.Directory]::GetDirectories($runs)) {
        foreach ($folder in Get-Attempts $run) {
            $state = Read-State $folder
            if (($state.instance -cne $Owner) -or ($state.phase -ceq 'ended')) { continue }
            $manifest = ConvertFrom-Json -InputObject (Read-Text (Join-Path $run 'manifest.json'))
            $age = [math]::Abs((Get-Milliseconds) - $state.createdMs) / 1000
            if ($age -le $manifest.limitSeconds.session + 3600) { continue }
            [ordered]@{ run = $state.run; attempt = $state.attempt; phase = $state.phase; createdMs = $state.createdMs }
        }
    }
}

function Close-Overdue([string]$RunId, [string]$Attempt) {
    # Its own watchdog ends it, with 0 if AWS never asked, and with the script that it was staged with. $RunId and
    # $Attempt hide those of this run from the functions that are called here.
    $session = Open-Session
    $null = New-Flag (Join-Path $session.Folder 'complete.flag') '0'
    Register-Watchdog $session
    Start-Task 'watchdog'
    $null = Wait-Until 45 { (Read-State $session.Folder).phase -ceq 'ended' }
}

function Assert-NothingOpen([string]$Owner) {
    # A server has one open session at a time. An earlier attempt of this run only has to be thawed.
    foreach ($run in [IO.Directory]::GetDirectories((Join-Path (Get-Root) 'runs'))) {
        foreach ($folder in Get-Attempts $run) {
            $other = Read-State $folder
            $earlier = ($other.run -ceq $RunId) -and ($other.attempt -lt [int]$Attempt)
            if (($other.instance -cne $Owner) -or ($other.phase -ceq 'ended')) { continue }
            if (-not ($earlier -and ($other.phase -ceq 'thawed'))) {
                throw "SessionOpen: $($other.run) attempt $($other.attempt) is $($other.phase)"
            }
        }
    }
}

function Get-TaskName([string]$Mode) { "\Quiesce\$Mode-$RunId-$Attempt" }

function Get-TaskXml($Session, [string]$Mode, [string[]]$Triggers) {
    # SYSTEM by SID: its names are localised. The default priority is below normal, the default limit three days.
    $program = [Security.SecurityElement]::Escape((Get-SystemFile 'WindowsPowerShell\v1.0\powershell.exe'))
    $parameters = "-Verb $Mode -RunId $RunId -Attempt $Attempt"
    $call = Get-PowerShellArguments (Join-Path $Session.Folder 'quiesce.ps1') $parameters
    $arguments = [Security.SecurityElement]::Escape($call)
    @('<?xml version="1.0" encoding="UTF-16"?>',
      '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">',
      '  <Triggers>') + $Triggers + @('  </Triggers>',
      '  <Principals><Principal id="Author">',
      '    <UserId>S-1-5-18</UserId>',
      '    <RunLevel>HighestAvailable</RunLevel>',
      '  </Principal></Principals>',
      '  <Settings>',
      '    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>',
      '    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>',
      '    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>',
      '    <StartWhenAvailable>true</StartWhenAvailable>',
      '    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>',
      '    <Priority>4</Priority>',
      '  </Settings>',
      '  <Actions Context="Author"><Exec>',
      "    <Command>$program</Command>",
      "    <Arguments>$arguments</Arguments>",
      '  </Exec></Actions>',
      '</Task>')
}

function Get-Trigger([int]$Seconds) {
    $time = Format-Time ([datetime]::UtcNow.AddSeconds($Seconds)) "yyyy-MM-dd'T'HH:mm:ss'Z'"
    "    <TimeTrigger><StartBoundary>$time</StartBoundary></TimeTrigger>"
}

function Register-Task($Session, [string]$Mode, [string[]]$Triggers) {
    $file = Join-Path $Session.Folder "$Mode.xml"
    [IO.File]::WriteAllText($file, ((Get-TaskXml $Session $Mode $Triggers) -join "`r`n"), [Text.Encoding]::Unicode)
    $code = Invoke-SystemProgram 'schtasks.exe' @('/create', '/tn', (Get-TaskName $Mode), '/xml', $file, '/f')
    if ($code -ne 0) { throw "TaskNotCreated: schtasks ended with $code" }
}

function Register-Watchdog($Session) {
    $limit = $Session.Manifest.limitSeconds
    $deadlines = (Get-Trigger ($limit.before + $limit.freeze + 30)), (Get-Trigger ($limit.session + 30))
    Register-Task $Session 'watchdog' (@('    <BootTrigger />') + $deadlines)
}

function Start-Task([string]$Mode) {
    $code = Invoke-SystemProgram 'schtasks.exe' @('/run', '/tn', (Get-TaskName $Mode))
    if ($code -ne 0) { throw "TaskNotStarted: schtasks ended with $code" }
}

function Start-Runner($Session) {
    # The watchdog first: from then on the server thaws by itself. Tasks are not children of the agent and hold no pipe.
    Register-Watchdog $Session
    Register-Task $Session 'session' @()
    Start-Task 'session'
}

function Remove-Tasks {
    # The exit codes do not matter: a task left behind finds that its session has ended, and comes here again.
    foreach ($mode in 'session', 'watchdog') {
        $null = Invoke-SystemProgram 'schtasks.exe' @('/delete', '/tn', (Get-TaskName $mode), '/f')
    }
}

# ---- One script of the customer -------------------------------------------------------------------------------------

function New-Record([string]$Reason, [string]$Argument) {
    [pscustomobject]@{
        succeeded = $false; reason = $Reason; exitCode = $null; argument = $Argument
        processId = 0; startedMs = Get-Milliseconds; endedMs = 0
    }
}

function Start-Script($Session, [string]$Stage, [string]$Path, [string]$Argument) {
    # Output goes to files of the session: a process that the script leaves behind would hold a pipe of ours open.
    $program = $Path
    $arguments = "$Argument "
    switch -Regex ([IO.Path]::GetExtension($Path).ToLowerInvariant()) {
        '\A\.ps1\z' {
            $program = Get-SystemFile 'WindowsPowerShell\v1.0\powershell.exe'
            $arguments = Get-PowerShellArguments $Path $Argument
        }
        '\A\.(cmd|bat)\z' {
            $program = Get-SystemFile 'cmd.exe'
            $arguments = "/d /s /c `"`"$Path`" $Argument`""
        }
    }
    $output = Join-Path $Session.Folder "$Stage.out"
    $errors = Join-Path $Session.Folder "$Stage.err"
    $process = Start-Process -FilePath $program -ArgumentList $arguments -WorkingDirectory $Session.Folder -PassThru `
        -RedirectStandardOutput $output -RedirectStandardError $errors
    $null = $process.Handle          # without it 5.1 does not know the exit code later
    $process
}

function Stop-Tree($Process) {
    $null = Invoke-SystemProgram 'taskkill.exe' @('/T', '/F', '/PID', "$($Process.Id)")
    $null = $Process.WaitForExit(10000)
}

function Invoke-Script($Session, [string]$Stage, [string]$Argument) {
    # At most once: the state records the script before it starts, and as interrupted until it has ended.
    # Only after runs even if the state cannot be written: a full disk must not keep an application frozen.
    $record = New-Record 'Interrupted' $Argument
    $Session.State.$Stage = $record
    $Session.State.phase = $Stage
    if (-not (Save-State $Session) -and ($Stage -cne 'after')) { throw "StateNotWritten: $Stage was not run" }
    $path = $Session.Manifest.scripts.$Stage
    if ($path -and ($Session.Manifest.source -ceq 'bucket')) { $path = Join-Path $Session.Folder $path }
    if ($Session.Manifest.source -ceq 'off') { $record.succeeded = $true; $record.reason = 'Off' }
    elseif (-not $path -or -not (Test-Path -LiteralPath $path -PathType Leaf)) { $record.reason = 'Missing' }
    else { Watch-Script $Session $Stage $path $record }
    $record.endedMs = Get-Milliseconds
    Write-Log $Session "$Stage $Argument ended: succeeded $($record.succeeded) $($record.reason) $($record.exitCode)"
}

function Watch-Script($Session, [string]$Stage, [string]$Path, $Record) {
    Write-Log $Session "$Stage $($Record.argument) starts: $Path"
    try { $process = Start-Script $Session $Stage $Path $Record.argument }
    catch { $Record.reason = "NotStarted: $($_.Exception.Message)"; return }
    $Record.processId = $process.Id
    $null = Save-State $Session
    if ($process.WaitForExit($Session.Manifest.limitSeconds.$Stage * 1000)) {
        $Record.exitCode = $process.ExitCode
        $Record.succeeded = ($process.ExitCode -eq 0)
        $Record.reason = if ($Record.succeeded) { '' } else { 'ExitCode' }
    } else {
        Stop-Tree $process
        $Record.reason = 'TimedOut'
    }
}

function Get-LeftProcess($Record) {
    # The process of a program that a dead runner started, if it still runs.
    if ($Record.processId -eq 0) { return }
    foreach ($left in @(Get-Process -Id $Record.processId -ErrorAction SilentlyContinue)) {
        $startedMs = ($left.StartTime.ToUniversalTime().Ticks - 621355968000000000) / 10000
        if ([math]::Abs($startedMs - $Record.startedMs) -gt 10000) { continue }    # another process has its number now
        $left
    }
}

function Close-Script($Session, [string]$Stage, [int]$Seconds) {
    # The runner died while this script ran. The script is not run again; its process has these seconds to end.
    $record = $Session.State.$Stage
    foreach ($left in Get-LeftProcess $record) { if (-not $left.WaitForExit($Seconds * 1000)) { Stop-Tree $left } }
    $record.endedMs = Get-Milliseconds
    Write-Log $Session "$Stage was interrupted"
}

# ---- Shadow copies --------------------------------------------------------------------------------------------------

# DiskShadow's exec starts this once the shadow copies exist, and waits for its end: after 0 DiskShadow notifies the
# writers of BackupComplete, after another code it stops. Each count takes a second or more, so it outlasts the session.
$HoldLines = @(
    '@echo off',
    'cd /d "%~dp0" || exit /b 3',
    'echo %~1|"%SystemRoot%\System32\findstr.exe" /r /x "{[0-9a-fA-F-]*}" >nul || exit /b 3',
    '>created.new echo %~1',
    'for %%F in (created.new) do if %%~zF lss 38 exit /b 3',
    'move created.new created.flag >nul || exit /b 3',
    'set seconds=0',
    ':wait',
    'if exist backup.flag exit /b 0',
    'if exist abort.flag exit /b 1',
    'set /a seconds+=1',
    'if %seconds% gtr LIMIT exit /b 2',
    '"%SystemRoot%\System32\ping.exe" -n 2 127.0.0.1 >nul',
    'goto wait')

function New-Shadow {
    [pscustomobject]@{
        reason = ''; processId = 0; exitCode = $null; startedMs = 0; createdMs = 0; endedMs = 0; setId = $null
        copies = @(); copiesAtThaw = $null; storage = @(); storageAtThaw = $null; deleted = $null
    }
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
    $listed = @()
    foreach ($storage in Read-Cim 'Win32_ShadowStorage') {
        if ($listed.Count -ge $MaxStorage) { break }
        $listed += [ordered]@{
            volumeGuid = $storage.Volume.DeviceID; storageGuid = $storage.DiffVolume.DeviceID
            usedBytes = $storage.UsedSpace; allocatedBytes = $storage.AllocatedSpace; maxBytes = $storage.MaxSpace
        }
    }
    $listed
}

function Read-SetId($Session) {
    # From the hold; else from the log, by the alias, which Windows does not translate. $null if neither has it.
    foreach ($name in 'created.flag', 'diskshadow.log') {
        $path = Join-Path $Session.Folder $name
        if (-not (Test-Path -LiteralPath $path)) { continue }
        foreach ($line in (Read-Fact $name { Read-Text $path }) -csplit '\r?\n') {
            $found = [regex]::Matches($line, '\{[0-9A-Fa-f-]{36}\}')
            $ofSet = ($name -ceq 'created.flag') -or ($line -cmatch 'VSS_SHADOW_SET')
            if ($ofSet -and ($found.Count -eq 1)) { return $found[0].Value }
        }
    }
    $null
}

function Start-DiskShadow($Session, [string]$Name, [string[]]$Lines, [string]$Output) {
    Write-Lines (Join-Path $Session.Folder $Name) $Lines
    $process = Start-Process -FilePath (Get-SystemFile 'diskshadow.exe') -ArgumentList "/s $Name /l $Output.log" `
        -WorkingDirectory $Session.Folder -PassThru -RedirectStandardOutput (Join-Path $Session.Folder "$Output.out") `
        -RedirectStandardError (Join-Path $Session.Folder "$Output.err")
    $null = $process.Handle          # without it 5.1 does not know the exit code later
    $process
}

function Set-ShadowEnd($Session, [string]$Reason, $ExitCode) {
    $shadow = $Session.State.shadow
    if (-not $shadow.reason) { $shadow.reason = $Reason }
    $shadow.exitCode = $ExitCode
    $shadow.endedMs = Get-Milliseconds
    if (-not $shadow.setId) { $shadow.setId = Read-SetId $Session }
    Write-Log $Session "DiskShadow ended: $($shadow.reason) $ExitCode"
}

function Invoke-Create($Session) {
    # The state records any problem with VSS, and the session goes on.
    $shadow = $Session.State.shadow
    $limit = $Session.Manifest.limitSeconds
    $shadow.startedMs = Get-Milliseconds
    try {
        $hold = $HoldLines -creplace 'LIMIT', "$($limit.session + 600)"
        Write-Lines (Join-Path $Session.Folder 'hold.cmd') $hold
        $lines = $Session.Manifest.shadowScript.Replace('*', $Session.Folder) -csplit '\|'
        $process = Start-DiskShadow $Session 'shadow.txt' $lines 'diskshadow'
    } catch { $shadow.reason = "NotStarted: $($_.Exception.Message)"; return }
    $Session.DiskShadow = $process
    $shadow.processId = $process.Id
    $null = Save-State $Session
    $created = Join-Path $Session.Folder 'created.flag'
    $null = Wait-Until $limit.create { (Test-Path -LiteralPath $created) -or $process.HasExited }
    if (Test-Path -LiteralPath $created) {
        $shadow.createdMs = Get-Milliseconds
        $shadow.setId = Read-SetId $Session
        $copies = Read-Copies $shadow.setId
        $shadow.copies = @(foreach ($copy in $copies) { [ordered]@{
            id = $copy.ID; setId = $copy.SetID; volumeGuid = $copy.VolumeName; deviceObject = $copy.DeviceObject
            providerId = $copy.ProviderID; persistent = $copy.Persistent; clientAccessible = $copy.ClientAccessible
            noAutoRelease = $copy.NoAutoRelease; noWriters = $copy.NoWriters
        } })
        $shadow.storage = @(Read-Storage)
        Write-Log $Session "shadow set $($shadow.setId) has $($shadow.copies.Count) shadow copies"
    } elseif ($process.HasExited) { Set-ShadowEnd $Session 'EndedEarly' $process.ExitCode }
    else { Stop-Tree $process; Set-ShadowEnd $Session 'TimedOut' $null }
}

function Watch-Shadow($Session) {
    # Notices that DiskShadow has ended while it should hold: endpoint protection may have killed it.
    $process = $Session.DiskShadow
    if (($null -eq $process) -or ($Session.State.shadow.endedMs -ne 0) -or -not $process.HasExited) { return }
    Set-ShadowEnd $Session 'Lost' $process.ExitCode
    $null = Save-State $Session
}

function Read-ShadowAtThaw($Session) {
    $shadow = $Session.State.shadow
    if (($null -eq $shadow) -or ($shadow.createdMs -eq 0) -or ($null -ne $shadow.copiesAtThaw)) { return }
    $copies = Read-Copies $shadow.setId
    if ($null -ne $copies) { $shadow.copiesAtThaw = @($copies | ForEach-Object { $_.ID }) }
    $shadow.storageAtThaw = @(Read-Storage)
}

function Stop-Hold($Session, [string]$Flag, [int]$Seconds) {
    # $false if DiskShadow had to be killed.
    try { $null = New-Flag (Join-Path $Session.Folder $Flag) '' } catch { Write-Log $Session $_.Exception.Message }
    if ($Session.DiskShadow.WaitForExit($Seconds * 1000)) { return $true }
    Stop-Tree $Session.DiskShadow
    $false
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
    if (-not $Session.Certain) { $Session.Certain = Assert-NotClone $Session.Manifest.instance }
    if (-not $Session.Certain) { return }
    Watch-Shadow $Session
    if (($shadow.endedMs -eq 0) -and ($null -ne $Session.DiskShadow)) {
        if (Stop-Hold $Session 'abort.flag' 10) { Set-ShadowEnd $Session $Reason $Session.DiskShadow.ExitCode }
        else { Set-ShadowEnd $Session $Reason $null }
    } elseif (($shadow.endedMs -eq 0) -and ($Reason -ceq 'RunnerLost')) {
        foreach ($left in Get-LeftProcess $shadow) { Stop-Tree $left }
        Set-ShadowEnd $Session $Reason $null
    }
    Remove-Copies $Session
    $null = Save-State $Session
}

function Remove-Copies($Session) {
    # By the id of their set, so never those of another program. They are deleted when CIM no longer lists them.
    $shadow = $Session.State.shadow
    if ((-not $shadow.setId) -or ($null -ne $shadow.deleted)) { return }
    $left = Read-Copies $shadow.setId
    if (($null -eq $left) -or ($left.Count -gt 0)) {
        try {
            $lines = "delete shadows set $($shadow.setId)", 'exit'
            $process = Start-DiskShadow $Session 'delete.txt' $lines 'delete'
            if (-not $process.WaitForExit(60000)) { Stop-Tree $process }
        } catch { Write-Log $Session "shadow copies not deleted: $($_.Exception.Message)" }
        $left = Read-Copies $shadow.setId
    }
    $shadow.deleted = ($null -ne $left) -and ($left.Count -eq 0)
    Write-Log $Session "shadow set $($shadow.setId) deleted: $($shadow.deleted)"
}

# ---- The session runner ---------------------------------------------------------------------------------------------

function Test-Flag($Session, [string]$Name) { Test-Path -LiteralPath (Join-Path $Session.Folder $Name) }

function Test-AbortAsked($Session) {
    # Another attempt will follow this one.
    (Test-Flag $Session 'thaw.flag') -and
        ((Read-Fact 'thaw.flag' { Read-Text (Join-Path $Session.Folder 'thaw.flag') }) -ceq 'abort')
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
    # after gets before's true status on every path: AWS asked, the deadline has passed, or the runner has died.
    $null = Wait-Until $LimitSeconds {
        if ($Session.Unsaved) { $null = Save-State $Session }
        Watch-Shadow $Session
        (Test-Flag $Session 'thaw.flag') -or (Test-Flag $Session 'complete.flag')
    }
    $Session.State.autoThawed = -not ((Test-Flag $Session 'thaw.flag') -or (Test-Flag $Session 'complete.flag'))
    if ($Session.State.autoThawed) { Write-Log $Session 'nobody asked for the thaw in time' }
    Invoke-Script $Session 'after' $(if ($Session.State.before.succeeded) { '1' } else { '0' })
}

function Wait-Complete($Session, [double]$LimitSeconds) {
    # The first answer counts: AWS's, or 0 when the session's time is up. $false if a later attempt has begun.
    $later = Join-Path $Session.Run "$([int]$Attempt + 1)"
    $asked = Wait-Until $LimitSeconds {
        if ($Session.Unsaved) { $null = Save-State $Session }
        Watch-Shadow $Session
        (Test-Flag $Session 'complete.flag') -or (Test-Path -LiteralPath $later)
    }
    if (-not $asked -and (New-Flag (Join-Path $Session.Folder 'complete.flag') '0')) {
        Write-Log $Session 'nobody asked for complete in time'
    }
    Test-Flag $Session 'complete.flag'
}

function Invoke-Complete($Session) {
    # 1 only if the backup and all earlier scripts succeeded. Once per run: the claim names the attempt that runs it.
    $claim = Join-Path $Session.Run 'complete.claim'
    if (-not $Session.Certain) { $Session.Certain = Assert-NotClone $Session.Manifest.instance }
    if (-not $Session.Certain) { $Session.State.complete = New-Record 'IdentityUnknown' ''; return }
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

function Invoke-Session($Session, $Lock, [bool]$Start, [string]$Until) {
    # The holder of the runner's lock continues the session from its phase. Without $Start it takes over from a dead
    # runner: then it thaws the application at once, whatever the clock says.
    try {
        Update-State $Session
        if ($Start -and ($Session.State.phase -cne 'created')) { return }
        $limit = $Session.Manifest.limitSeconds
        $age = [math]::Max(0, ((Get-Milliseconds) - $Session.State.createdMs) / 1000)
        $clock = [Diagnostics.Stopwatch]::StartNew()
        if ($Start) { Invoke-Before $Session } elseif (-not (Test-Reached $Session 'frozen')) { Skip-Before $Session }
        if ($Session.State.phase -ceq 'frozen') {
            # Between two runners the server may have been off, and the application with it.
            $Session.State.runnerLost = -not $Start
            Invoke-After $Session $(if ($Start) { $limit.freeze - $Session.CreateSeconds } else { 0 })
        }
        elseif ($Session.State.phase -ceq 'after') { Close-Script $Session 'after' $limit.after }
        if ($Session.State.phase -ceq 'after') { Read-ShadowAtThaw $Session }
        if (-not $Start) { Close-Shadow $Session 'RunnerLost' }
        elseif (Test-AbortAsked $Session) { Close-Shadow $Session 'Aborted' }
        Set-Phase $Session 'thawed'
        if ($Until -ceq 'thawed') { return }
        if ($Session.State.phase -ceq 'complete') { Close-Script $Session 'complete' $limit.complete }
        elseif ($Session.State.phase -ceq 'thawed') {
            $left = $limit.session - $age - $clock.Elapsed.TotalSeconds
            if (Wait-Complete $Session $left) { Invoke-Complete $Session }
            else {
                Close-Shadow $Session 'Aborted'
                $Session.State.complete = New-Record 'Superseded' ''
            }
        }
        if ($Session.State.endedMs -eq 0) { $Session.State.endedMs = Get-Milliseconds }
        Set-Phase $Session 'ended'
    } finally { $Lock.Dispose() }
    if (-not $Session.Unsaved) { Remove-Tasks }
}

# ---- The inventory of the server ------------------------------------------------------------------------------------

function Read-Fact([string]$Name, [scriptblock]$Read) {
    # $null where Windows does not answer; the reason goes to the command's stderr.
    try { & $Read } catch { [Console]::Error.WriteLine("${Name}: $($_.Exception.Message)"); $null }
}

function Read-Cim([string]$Class, [string]$Namespace = 'root/cimv2') {
    Read-Fact $Class { Get-CimInstance -Namespace $Namespace -ClassName $Class -OperationTimeoutSec 20 } |
        Where-Object { $null -ne $_ }
}

function Get-Windows {
    $system = Read-Cim 'Win32_OperatingSystem'
    if ($null -eq $system) { $system = @{ Version = $null; Caption = $null; ProductType = $null } }
    $installation = Read-Fact 'InstallationType' {
        # The registry, through CIM like all the rest; the number is HKEY_LOCAL_MACHINE.
        $key = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
        $value = @{ hDefKey = [uint32]2147483650; sSubKeyName = $key; sValueName = 'InstallationType' }
        $found = Invoke-CimMethod -Namespace 'root/cimv2' -ClassName 'StdRegProv' -MethodName 'GetStringValue' `
            -Arguments $value -OperationTimeoutSec 20
        $found.sValue
    }
    [ordered]@{
        version = $system.Version; name = $system.Caption; installation = $installation
        productType = $system.ProductType
    }
}

function Get-Drives($Disks) {
    # Every volume of a fixed disk. The volume's GUID path links it to its disk.
    $diskOf = @{}
    $serialOf = @{}
    $targetOf = @{}
    foreach ($partition in Read-Cim 'MSFT_Partition' $StorageApi) {
        foreach ($path in $partition.AccessPaths) { $diskOf[$path] = $partition.DiskNumber }
    }
    foreach ($disk in $Disks) { $serialOf["$($disk.Number)"] = $disk.SerialNumber }
    foreach ($disk in Read-Cim 'Win32_DiskDrive') { $targetOf["$($disk.Index)"] = $disk.SCSITargetId }
    foreach ($volume in Read-Cim 'Win32_Volume') {
        if ($volume.DriveType -ne 3) { continue }
        $path = "$($volume.DriveLetter)"
        if (-not $path -and ($volume.Name -cne $volume.DeviceID)) { $path = $volume.Name }
        $disk = $diskOf[$volume.DeviceID]
        [ordered]@{
            path = $path; volumeGuid = $volume.DeviceID; fileSystem = $volume.FileSystem
            sizeBytes = $volume.Capacity; freeBytes = $volume.FreeSpace
            diskNumber = $disk; serial = $serialOf["$disk"]; scsiTarget = $targetOf["$disk"]
        }
    }
}

function Invoke-Inventory {
    if (-not (Assert-NotClone $InstanceId)) { throw 'IdentityUnknown' }
    $windows = Get-Windows
    $disks = @(Read-Cim 'MSFT_Disk' $StorageApi)
    $drives = @(Get-Drives $disks | Sort-Object -Property { -not $_.path }, { $_.path })
    if (-not $windows.version -and ($drives.Count -eq 0)) { throw 'InventoryUnreadable: CIM answers nothing' }
    $listed = @()
    $room = $MaxDriveCharacters
    foreach ($drive in $drives) {
        $room -= (ConvertTo-Line $drive).Length
        if (($room -ge 0) -and ($listed.Count -lt $MaxDrives)) { $listed += $drive }
    }
    $mode = "$($ExecutionContext.SessionState.LanguageMode)"
    [ordered]@{
        windows = $windows; powershell = [ordered]@{ version = "$($PSVersionTable.PSVersion)"; languageMode = $mode }
        programData = $env:ProgramData; shadowStorage = @(Read-Storage)
        overdue = @(Read-Fact 'overdue' { Get-Overdue $InstanceId } | Where-Object { $null -ne $_ })
        drives = $listed; drivesOmitted = $drives.Count - $listed.Count
        disks = @($disks | Select-Object -First 40 -Property Number, SerialNumber, BusType, IsOffline,
            NumberOfPartitions, AllocatedSize)
        programDataFreeBytes = Read-Fact 'ProgramData' { (New-Object IO.DriveInfo $env:ProgramData).AvailableFreeSpace }
    }
}

# ---- The files of a session -----------------------------------------------------------------------------------------

function Read-Tail([string]$Path) {
    # The last 10 MB of a file that another process may be writing or replacing.
    $tail = @{ Bytes = @(); Mark = 'unreadable-' }
    $null = Wait-Until 3 {
        try { $stream = Open-Shared $Path } catch [IO.IOException], [UnauthorizedAccessException] { return $false }
        try {
            $tail.Mark = if ($stream.Length -gt $MaxFileBytes) { 'cut-' } else { '' }
            if ($tail.Mark) { $stream.Position = $stream.Length - $MaxFileBytes }
            $tail.Bytes = (New-Object IO.BinaryReader $stream).ReadBytes($MaxFileBytes)
        } finally { $stream.Dispose() }
        $true
    }
    $tail
}

function Read-Program([string]$Name, [string]$Arguments) {
    # What a Windows program prints, byte for byte, in the server's language and code page.
    $tail = @{ Bytes = @(); Mark = 'unreadable-' }
    try {
        $start = New-Object Diagnostics.ProcessStartInfo (Get-SystemFile $Name), $Arguments
        $start.UseShellExecute = $false
        $start.RedirectStandardOutput = $start.RedirectStandardError = $true
        $process = [Diagnostics.Process]::Start($start)
        $memory = New-Object IO.MemoryStream
        $printed = $process.StandardOutput.BaseStream.CopyToAsync($memory).Wait(20000) -and $process.WaitForExit(1000)
        if (-not $printed) { Stop-Tree $process; throw 'TimedOut' }
        if ($process.ExitCode -ne 0) { throw "exit code $($process.ExitCode)" }
        $tail.Bytes = $memory.ToArray()
        $tail.Mark = ''
    } catch { [Console]::Error.WriteLine("${Name}: $($_.Exception.Message)") }
    $tail
}

function Add-Entry($Archive, [string]$Name, $Tail) {
    # The entry's name says whether the file is cut or unreadable.
    $entry = "$($Tail.Mark)$Name"
    $target = $Archive.CreateEntry($entry).Open()
    try { $target.Write($Tail.Bytes, 0, $Tail.Bytes.Length) } finally { $target.Dispose() }
    [ordered]@{ name = $entry; bytes = $Tail.Bytes.Length; cut = [bool]$Tail.Mark }
}

function Add-Diagnosis($Archive, [datetime]$Since) {
    # Windows's own events about shadow copies since the run began, newest first, and its providers.
    $sources = @('VSS', 'SPP', 'volsnap', 'Volsnap' | ForEach-Object { "@Name='$_'" }) -join ' or '
    $time = Format-Time $Since "yyyy-MM-dd'T'HH:mm:ss'Z'"
    $query = "*[System[Provider[$sources] and TimeCreated[@SystemTime>='$time']]]"
    foreach ($channel in 'Application', 'System') {
        $arguments = "qe $channel /q:`"$query`" /f:text /rd:true /c:$MaxEvents"
        Add-Entry $Archive "events.$($channel.ToLowerInvariant()).txt" (Read-Program 'wevtutil.exe' $arguments)
    }
    Add-Entry $Archive 'providers.txt' (Read-Program 'vssadmin.exe' 'list providers')
}

function New-Archive($Session, [string]$Path) {
    # Returns the list of its entries.
    $wanted = 'session\.log|shadow\.txt|writers\.cab|diskshadow\.(log|out|err)'
    if ($CollectOutput -ceq 'true') { $wanted = "$wanted|(before|after|complete)\.(out|err)" }
    Add-Type -AssemblyName 'System.IO.Compression'
    $stream = [IO.File]::Open($Path, 'CreateNew', 'Write', 'None')
    try {
        $archive = New-Object IO.Compression.ZipArchive $stream, 'Create'
        try {
            $manifest = Join-Path $Session.Run 'manifest.json'
            Add-Entry $archive 'manifest.json' (Read-Tail $manifest)
            Add-Entry $archive 'state.json' (Read-Tail (Join-Path $Session.Folder 'state.json'))
            foreach ($file in Get-ChildItem -LiteralPath $Session.Folder -File | Sort-Object -Property Name) {
                if ($file.Name -cmatch "\A($wanted)\z") { Add-Entry $archive $file.Name (Read-Tail $file.FullName) }
            }
            $since = (Get-Item -LiteralPath $manifest).LastWriteTimeUtc
            if ($null -ne $Session.State.shadow) { Add-Diagnosis $archive $since }
        } finally { $archive.Dispose() }
    } finally { $stream.Dispose() }
}

function Invoke-Collect($Session) {
    # Takes no lock, so that a thaw never waits for an upload.
    if (-not $Session.Certain) { throw 'IdentityUnknown' }
    if ($UploadLink -ceq 'none') { throw 'InvalidParameter: UploadLink' }
    if (-not (Test-Path -LiteralPath $Session.Folder)) { throw "NotStaged: $RunId has no attempt $Attempt" }
    Update-State $Session
    $path = Get-DraftName (Join-Path $Session.Folder 'session.zip')
    try {
        $files = @(New-Archive $Session $path)
        [Net.ServicePointManager]::SecurityProtocol = 'Tls12'
        $null = Invoke-WebRequest -UseBasicParsing -Uri $UploadLink -Method Put -InFile $path -TimeoutSec 60
        [ordered]@{ files = $files; bytes = (Get-Item -LiteralPath $path).Length }
    } catch { throw "NotCollected: $($_.Exception.Message)" } finally {
        $null = Wait-Until 5 {
            try { [IO.File]::Delete($path); $true } catch [IO.IOException], [UnauthorizedAccessException] { $false }
        }
    }
}

# ---- The verbs ------------------------------------------------------------------------------------------------------

function Get-OwnText {
    # The SSM document holds this file between two marks.
    $text = [IO.File]::ReadAllText($PSCommandPath)
    $inside = [regex]::Match($text, '(?s)\n# quiesce\.ps1 begins\r?\n(.*\n)# quiesce\.ps1 ends')
    if ($inside.Success) { $inside.Groups[1].Value } else { $text }
}

function Find-ServerScript([string]$Stage, $Ignored) {
    # The prefix in upper or lower case, the policy's name exactly, an extension that Start-Script can start. If there
    # are only others beside it, as of a log or a copy, they are told.
    $files = @(Get-ChildItem -LiteralPath (Join-Path (Get-Root) 'scripts') -File)
    $named = @($files | Where-Object {
        $_.Name.StartsWith("${Stage}_", [StringComparison]::OrdinalIgnoreCase) -and
        ([IO.Path]::GetFileNameWithoutExtension($_.Name).Substring($Stage.Length + 1) -ceq $Policy)
    } | ForEach-Object { $_.FullName } | Sort-Object)
    $found = @($named | Where-Object { $Startable -ccontains [IO.Path]::GetExtension($_).ToLowerInvariant() })
    if ($found.Count -gt 1) { throw "AmbiguousScript: $($found -join ', ')" }
    if ($found.Count -eq 1) { return $found[0] }
    if ($named.Count -gt 0) { $Ignored[$Stage] = [IO.Path]::GetFileName($named[0]) }
    ''
}

function Save-BucketScript([string]$Stage, [string]$Link, [string]$Folder) {
    if ($Link -ceq 'none') { return '' }
    $name = "${Stage}_$Policy.ps1"
    [Net.ServicePointManager]::SecurityProtocol = 'Tls12'
    try { Invoke-WebRequest -UseBasicParsing -Uri $Link -OutFile (Join-Path $Folder $name) -TimeoutSec 60 }
    catch { throw "ScriptNotFetched: ${Stage}: $($_.Exception.Message)" }
    $name
}

function Get-Lacking($Requirements) {
    # What #Requires asks for and this server does not have, as Windows PowerShell compares it. SYSTEM is elevated.
    if ($null -eq $Requirements) { return }
    $version = $Requirements.RequiredPSVersion
    $same = @($PSVersionTable.PSCompatibleVersions | Where-Object {
        ($null -eq $version) -or (($_.Major -eq $version.Major) -and ($_.Minor -ge $version.Minor)) })
    if ($same.Count -eq 0) { "PowerShell $version" }
    $editions = @($Requirements.RequiredPSEditions | Where-Object { $_ })
    if (($editions.Count -gt 0) -and ($editions -notcontains $PSVersionTable['PSEdition'])) { "PSEdition $editions" }
    $shell = $Requirements.RequiredApplicationId
    if ($shell -and ($shell -ne $ShellId)) { "ShellId $shell" }
    foreach ($module in $Requirements.RequiredModules) {
        $known = @(Get-Module -ListAvailable -FullyQualifiedName $module -ErrorAction SilentlyContinue)
        if ($known.Count -eq 0) { "module $($module.Name)" }
    }
}

function Get-BareParameters($Block) {
    # A script's parameters without its code: of the defaults only constants stay.
    $parameters = foreach ($parameter in $Block.Parameters) {
        $text = "$($parameter.Attributes | ForEach-Object { $_.Extent.Text }) $($parameter.Name.Extent.Text)"
        $default = $parameter.DefaultValue
        if ($default -is [Management.Automation.Language.ConstantExpressionAst]) { $text += "=$($default.Extent.Text)" }
        $text
    }
    [scriptblock]::Create("$($Block.Attributes | ForEach-Object { $_.Extent.Text }) param($($parameters -join ','))")
}

function Test-Call([scriptblock]$Parameters, [string]$Argument) {
    # Windows' own words if it does not take the argument, or asks for another, which fails where nobody can answer.
    try { $null = if ($Argument) { & $Parameters $Argument } else { & $Parameters } }
    catch { return "called with '$Argument': $($_.Exception.Message)" }
    ''
}

function Test-Script([string]$Path, [string[]]$Arguments) {
    # Why Windows PowerShell would end a script before its first line, else what cannot be told without running it.
    # ParseFile takes the file's encoding as -File does.
    $tokens = $errors = $null
    $script = [Management.Automation.Language.Parser]::ParseFile($Path, [ref]$tokens, [ref]$errors)
    foreach ($found in $errors) { return "line $($found.Extent.StartLineNumber): $($found.Message)", '' }
    $needs = $script.ScriptRequirements
    $lacking = @(Get-Lacking $needs)
    if ($lacking.Count -gt 0) { return "#Requires $($lacking -join ', ')", '' }
    $code = '', 'its parameters run code'
    if ($null -ne $script.DynamicParamBlock) { return $code }
    if ($null -eq $script.ParamBlock) { return '', '' }
    $parameters = Get-BareParameters $script.ParamBlock
    $isCode = { $args[0] -is [Management.Automation.Language.ScriptBlockExpressionAst] }
    if ($null -ne $parameters.Ast.Find($isCode, $true)) { return $code }
    $why = ''
    foreach ($argument in $Arguments) { if (-not $why) { $why = Test-Call $parameters $argument } }
    # A script that loads or defines types itself may have types that are not known here.
    $isType = { $args[0] -is [Management.Automation.Language.TypeDefinitionAst] }
    $own = ($null -ne $needs) -or $script.UsingStatements -or ($null -ne $script.Find($isType, $true))
    if ($own) { '', $why } else { $why, '' }
}

function Test-Scripts($Paths, [string]$Folder) {
    # Refuses scripts that would leave an application frozen; returns for each what cannot be told.
    $unsure = [ordered]@{ before = ''; after = ''; complete = '' }
    $failing = @()
    # The agent's own variables are as old as its start, those of a task are not.
    $env:PSModulePath += [IO.Path]::PathSeparator + [Environment]::GetEnvironmentVariable('PSModulePath', 'Machine')
    foreach ($stage in $Stages) {
        $path = $Paths[$stage]
        if ($Scripts -ceq 'bucket') { $path = Join-Path $Folder $path }
        if ([IO.Path]::GetExtension($path).ToLowerInvariant() -cne '.ps1') { continue }
        $why = ''
        $arguments = if ($stage -ceq 'before') { , '' } else { '1', '0' }
        try { $why, $unsure[$stage] = Test-Script $path $arguments } catch { $unsure[$stage] = $_.Exception.Message }
        if ($why) { $failing += "${stage}: $why" }
    }
    if ($failing.Count -gt 0) { throw "ScriptNotRunnable: $($failing -join '; ')" }
    $unsure
}

function Remove-OldRuns {
    # After 14 days, as the agent does with its own output. No session lives that long, unless the clock was wrong.
    # One at a time, and not while a session begins: if the lock is taken, a later stage removes the old runs.
    $lock = Open-Lock (Join-Path (Get-Root) 'server.lock')
    if ($null -eq $lock) { return }
    try {
        foreach ($run in [IO.Directory]::GetDirectories((Join-Path (Get-Root) 'runs'))) {
            if ([IO.Directory]::GetLastWriteTimeUtc($run) -gt [datetime]::UtcNow.AddSeconds(-14 * 86400)) { continue }
            $open = @(Get-Attempts $run | Where-Object { (Read-State $_).phase -cne 'ended' })
            if ($open.Count -eq 0) { Remove-Item -LiteralPath $run -Recurse -Force }
        }
    } finally { $lock.Dispose() }
}

function Invoke-Stage {
    # The first stage counts: a second one of the same run answers with the first one's manifest.
    if (-not (Assert-NotClone $InstanceId)) { throw 'IdentityUnknown' }
    Initialize-Root
    Remove-OldRuns
    $run = Get-RunFolder
    if (-not (Test-Path -LiteralPath $run)) {
        $overdue = @(Get-Overdue $InstanceId)
        foreach ($session in $overdue) { Close-Overdue $session.run $session.attempt }
        # So that AWS learns of an open session before it plans to freeze.
        Assert-NothingOpen $InstanceId
        $draft = Get-DraftName $run
        $null = New-Item -ItemType Directory -Path $draft
        [IO.File]::WriteAllText((Join-Path $draft 'quiesce.ps1'), (Get-OwnText), [Text.Encoding]::ASCII)
        $paths = [ordered]@{ before = ''; after = ''; complete = '' }
        $ignored = [ordered]@{}
        $links = @{ before = $BeforeLink; after = $AfterLink; complete = $CompleteLink }
        foreach ($stage in $Stages) {
            if ($Scripts -ceq 'server') { $paths[$stage] = Find-ServerScript $stage $ignored }
            if ($Scripts -ceq 'bucket') { $paths[$stage] = Save-BucketScript $stage $links[$stage] $draft }
        }
        $unsure = Test-Scripts $paths $draft
        $files = @(Get-ChildItem -LiteralPath $draft -File | Sort-Object -Property Name | ForEach-Object {
            [ordered]@{ name = $_.Name; sha256 = (Get-FileHash -LiteralPath $_.FullName -Algorithm SHA256).Hash } })
        $manifest = [ordered]@{
            run = $RunId; instance = $InstanceId; policy = $Policy; source = $Scripts; scripts = $paths; files = $files
            limitSeconds = [ordered]@{
                before = [int]$BeforeTimeoutSeconds; after = [int]$AfterTimeoutSeconds
                complete = [int]$CompleteTimeoutSeconds
                create = [int]$CreateTimeoutSeconds
                freeze = [int]$FreezeLimitSeconds; session = [int]$SessionLimitSeconds
            }
            shadowScript = $ShadowScript; unsure = $unsure; ignored = $ignored; overdue = $overdue
        }
        [IO.File]::WriteAllText((Join-Path $draft 'manifest.json'), (ConvertTo-Line $manifest), [Text.Encoding]::ASCII)
        $null = Move-Once $draft $run
    }
    $staged = ConvertFrom-Json -InputObject (Read-Text (Join-Path $run 'manifest.json'))
    if ($staged.instance -cne $InstanceId) { throw "ForeignServer: $RunId was staged on $($staged.instance)" }
    $staged
}

function Enter-Attempt($Session) {
    # One verb at a time decides whether a session begins. A thaw or complete that comes first makes the session too,
    # so that a delayed freeze that comes later freezes nothing.
    $lock = Wait-Lock (Join-Path (Get-Root) 'server.lock') 30
    try {
        if (-not (Test-Path -LiteralPath $Session.Folder)) {
            if (Test-Path -LiteralPath (Join-Path $Session.Run 'complete.claim')) { throw "RunCompleted: $RunId" }
            Assert-NothingOpen $Session.Manifest.instance
            New-Session $Session
        }
        Update-State $Session
        $begun = ($Session.State.phase -cne 'created') -or -not (Test-Free $Session)
        if (-not $begun -and ($Verb -ceq 'freeze')) { Start-Runner $Session }
        # A session that thaw or complete begins ends by itself, too. A thaw never fails for want of a task.
        elseif (-not $begun) { try { Register-Watchdog $Session } catch { Write-Log $Session $_.Exception.Message } }
    } finally { $lock.Dispose() }
}

function Test-Free($Session) {
    $lock = Open-Lock (Join-Path $Session.Folder 'runner.lock')
    if ($lock) { $lock.Dispose() }
    $null -ne $lock
}

function Invoke-Freeze($Session) {
    # A second freeze waits for the same session. Only the phase frozen is a success: in a later one it has thawed.
    if (-not $Session.Certain) { throw 'IdentityUnknown' }
    Enter-Attempt $Session
    $null = Wait-Until ([int]$WaitSeconds) {
        Update-State $Session
        (Test-Reached $Session 'frozen') -or (($Session.State.phase -ceq 'before') -and (Test-Free $Session))
    }
    Update-State $Session
    if ($Session.State.phase -cne 'frozen') { throw "NotFrozen: the session is $($Session.State.phase)" }
}

function Invoke-Request($Session, [string]$Flag, [string]$Text, [string]$Phase) {
    # thaw and complete: set a flag for the runner and wait for it, or take over its work if it is dead.
    Enter-Attempt $Session
    $null = New-Flag (Join-Path $Session.Folder $Flag) $Text
    $reached = Wait-Until ([int]$WaitSeconds) {
        Update-State $Session
        if (Test-Reached $Session $Phase) { return $true }
        $lock = Open-Lock (Join-Path $Session.Folder 'runner.lock')
        if ($lock) { Invoke-Session $Session $lock $false $Phase }
        Test-Reached $Session $Phase
    }
    if (-not $reached) { throw "NotYet: the session is $($Session.State.phase)" }
}

function Invoke-Task($Session) {
    # Task Scheduler drops a task's output, so an error goes into the log.
    try {
        $lock = Wait-Lock (Join-Path $Session.Folder 'runner.lock') 5
        Invoke-Session $Session $lock ($Verb -ceq 'session') 'ended'
    } catch {
        Write-Log $Session "stopped at line $($_.InvocationInfo.ScriptLineNumber): $($_.Exception.Message)"
        throw
    }
}

function Compress-Bytes($Bytes, [int]$Skip) {
    $memory = New-Object IO.MemoryStream
    $zip = New-Object IO.Compression.GZipStream $memory, ([IO.Compression.CompressionMode]::Compress)
    try { $zip.Write($Bytes, $Skip, $Bytes.Length - $Skip) } finally { $zip.Dispose() }
    [Convert]::ToBase64String($memory.ToArray())
}

function Add-ShadowLog($Answer, $Session) {
    # As much of the log's end as the answer has room for; if there is hardly any, the shadow storage is left out.
    if (($null -eq $Session.State) -or ($null -eq $Session.State.shadow)) { return }
    if ((ConvertTo-Line $Answer).Length -gt $MaxAnswerCharacters - 2000) {
        $Session.State.shadow.storage = $null
        $Session.State.shadow.storageAtThaw = $null
    }
    $Answer['diskShadowLog'] = $null
    $Answer['diskShadowLogCut'] = $false
    $path = Join-Path $Session.Folder 'diskshadow.log'
    if (-not (Test-Path -LiteralPath $path)) { return }
    $tail = Read-Tail $path
    if ($tail.Mark -ceq 'unreadable-') { return }
    $room = [math]::Min($MaxLogCharacters, $MaxAnswerCharacters - (ConvertTo-Line $Answer).Length)
    $skip = 0
    $text = Compress-Bytes $tail.Bytes 0
    while ($text.Length -gt $room) {
        $skip += 1 + [math]::Floor(($tail.Bytes.Length - $skip) / 8)
        $text = Compress-Bytes $tail.Bytes $skip
    }
    $Answer['diskShadowLog'] = $text
    $Answer['diskShadowLogCut'] = $skip -gt 0
}

function Assert-Parameters {
    # The SSM document has already checked those of a verb; a task has no document.
    $number = '\A[0-9]{1,6}\z'
    $checks = @(
        @('Verb', $Verb, '\A(inventory|stage|freeze|thaw|complete|collect|session|watchdog)\z'),
        @('RunId', $RunId, '\A[A-Za-z0-9][A-Za-z0-9_-]{0,99}\z'),
        @('Attempt', $Attempt, '\A[1-9][0-9]?\z'),
        @('Policy', $Policy, '\A[A-Za-z0-9][A-Za-z0-9_-]{0,39}\z'),
        @('Scripts', $Scripts, '\A(off|bucket|server)\z'),
        @('BeforeTimeoutSeconds', $BeforeTimeoutSeconds, $number),
        @('AfterTimeoutSeconds', $AfterTimeoutSeconds, $number),
        @('CompleteTimeoutSeconds', $CompleteTimeoutSeconds, $number),
        @('CreateTimeoutSeconds', $CreateTimeoutSeconds, $number),
        @('ShadowScript', $ShadowScript, '\A[A-Za-z0-9 \\?{}._%#:|*,-]{1,6000}\z'),
        @('AbortShadowCopies', $AbortShadowCopies, '\A(true|false)\z'),
        @('FreezeLimitSeconds', $FreezeLimitSeconds, $number),
        @('SessionLimitSeconds', $SessionLimitSeconds, $number),
        @('Succeeded', $Succeeded, '\A(true|false)\z'),
        @('WaitSeconds', $WaitSeconds, $number),
        @('CollectOutput', $CollectOutput, '\A(true|false)\z'))
    foreach ($check in $checks) {
        if (-not ($check[1] -cmatch $check[2])) { throw "InvalidParameter: $($check[0])" }
    }
}

function Invoke-Verb($Answer) {
    if ($Verb -ceq 'inventory') { $Answer['inventory'] = Invoke-Inventory; return }
    if ($Verb -ceq 'stage') { $Answer['staged'] = Invoke-Stage; return }
    $session = Open-Session
    try {
        switch -CaseSensitive ($Verb) {
            'freeze' { Invoke-Freeze $session }
            'thaw' {
                $word = if ($AbortShadowCopies -ceq 'true') { 'abort' } else { '' }
                Invoke-Request $session 'thaw.flag' $word 'thawed'
            }
            'complete' {
                if (-not $session.Certain) { throw 'IdentityUnknown' }
                Invoke-Request $session 'complete.flag' $(if ($Succeeded -ceq 'true') { '1' } else { '0' }) 'ended'
            }
            'collect' { $Answer['collected'] = Invoke-Collect $session }
            default { Invoke-Task $session }
        }
    } finally {
        $Answer['session'] = $session.State
        if ($Verb -cne 'collect') { Add-ShadowLog $Answer $session }
    }
}

$answer = [ordered]@{ quiesce = 1; verb = $Verb; run = $RunId; attempt = $Attempt; ok = $false; error = '' }
try {
    Assert-Parameters
    $null = Invoke-Verb $answer
    $answer['ok'] = $true
} catch {
    $answer['error'] = "$($_.Exception.Message)"
}
[Console]::Out.WriteLine((ConvertTo-Line $answer))
if ($answer['ok']) { exit 0 } else { exit 1 }
