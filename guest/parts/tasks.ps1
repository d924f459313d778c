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
