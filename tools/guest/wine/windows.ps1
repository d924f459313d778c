# Shows what the tests on Linux cannot show of Windows, one line for each belief that the guest depends on.
# For Windows PowerShell 5.1 on a server, as an administrator, and for a PowerShell on Wine. It works in a folder of its
# own under %TEMP%, registers one scheduled task that writes a file there, and removes both.
[CmdletBinding()]
param([string]$PowerShell = (Get-Process -Id $PID).Path)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'beliefs.ps1')

$cmd = Join-Path $System 'cmd.exe'
$hold = Get-Batch 'hold.cmd' @('@echo off', ':wait', 'if exist "%~dp0abort.flag" exit /b 1',
    'if exist "%~dp0done.flag" exit /b 0', 'ping -n 2 127.0.0.1 >nul', 'goto wait')

# Exit codes
foreach ($code in 255, 256, 3010, -1, 259) {
    $batch = Get-Batch "exit$code.cmd" @("@exit /b $code")
    Test-Belief "a batch file's exit code $code reaches its parent whole" "$code" { Get-ExitCode $cmd "/d /c `"$batch`"" }
    $file = Get-File "exit$code.ps1" "exit $code"
    Test-Belief "a PowerShell script's exit code $code reaches its parent whole" "$code" {
        Get-ExitCode $PowerShell (Get-Script $file)
    }
}
$batch = Get-Batch 'inner.cmd' @('@exit /b 3010')
$outer = Get-Batch 'outer.cmd' @('@call "%~dp0inner.cmd"', '@exit /b %errorlevel%')
Test-Belief 'a batch file sees the exit code over 255 of one that it calls' '3010' { Get-ExitCode $cmd "/d /c `"$outer`"" }
$thrown = Get-File 'throw.ps1' "throw 'x'"
Test-Belief 'an unhandled exception of a script is exit code 1' '1' {
    Get-ExitCode $PowerShell (Get-Script $thrown)
}
$spaced = Join-Path (New-Item -ItemType Directory -Path (Join-Path $Folder 'a b & c')).FullName 'd e.ps1'
[IO.File]::WriteAllText($spaced, "if (`$args[0] -ceq '1') { exit 7 } else { exit 8 }")
Test-Belief 'a path with blanks and & in quotes reaches -File, and the argument after it' '7' {
    Get-ExitCode $PowerShell (Get-Script $spaced 1)
}

# A hold: a batch file that waits for a flag
foreach ($flag in @{ name = 'done.flag'; code = '0' }, @{ name = 'abort.flag'; code = '1' }) {
    Test-Belief "a held batch file sees $($flag.name) and ends with $($flag.code)" $flag.code {
        $process = Start-It $cmd "/d /c `"$hold`""
        if ($process.WaitForExit(1500)) { return 'ended before the flag' }
        $file = Get-File $flag.name ''
        $null = $process.WaitForExit(30000)
        Remove-Item -LiteralPath $file
        $process.ExitCode
    }
}

# Process trees
Test-Belief 'ending a process leaves its children running' 'child runs' {
    $process = Start-It $cmd '/d /c ping -n 30 127.0.0.1'
    $null = Wait-For { @(Get-Process -Name 'ping' -ErrorAction SilentlyContinue).Count -gt 0 }
    $process.Kill()
    $process.WaitForExit()
    $left = @(Get-Process -Name 'ping' -ErrorAction SilentlyContinue)
    $left | Stop-Process -Force
    if ($left.Count) { 'child runs' } else { 'child ended' }
}
Test-Belief 'taskkill /T /F ends a process and its children' 'all ended' {
    $process = Start-It $cmd '/d /c ping -n 30 127.0.0.1'
    $null = Wait-For { @(Get-Process -Name 'ping' -ErrorAction SilentlyContinue).Count -gt 0 }
    $code = Get-ExitCode (Join-Path $System 'taskkill.exe') "/T /F /PID $($process.Id)"
    if (-not $process.WaitForExit(5000)) { return "taskkill $code, process runs" }
    $left = @(Get-Process -Name 'ping' -ErrorAction SilentlyContinue)
    $left | Stop-Process -Force
    if ($left.Count) { "taskkill $code, child runs" } else { 'all ended' }
}

Test-Belief 'there is a process 0, the idle process' 'Idle' { (Get-Process -Id 0).ProcessName }

# Files that are open elsewhere
$state = Get-File 'state.json' 'old'
$new = Join-Path $Folder 'state.new'
function Test-Open([string]$Share, [scriptblock]$Action) {
    [IO.File]::WriteAllText($state, 'old')
    [IO.File]::WriteAllText($new, 'new')
    $open = [IO.File]::Open($state, [IO.FileMode]::Open, [IO.FileAccess]::Read, [IO.FileShare]$Share)
    try { & $Action; [IO.File]::ReadAllText($state) } finally { $open.Dispose() }
}
Test-Belief 'a file that another reads without sharing deletion cannot be replaced' 'IOException' {
    Test-Open 'ReadWrite' { [IO.File]::Replace($new, $state, [NullString]::Value) }
}
Test-Belief 'a file that another reads as ReadAllText does cannot be replaced' 'IOException' {
    Test-Open 'Read' { [IO.File]::Replace($new, $state, [NullString]::Value) }
}
Test-Belief 'a file that another reads, sharing deletion, can be replaced' 'new' {
    Test-Open 'ReadWrite, Delete' { [IO.File]::Replace($new, $state, [NullString]::Value) }
}
Test-Belief 'a file that another reads cannot be deleted' 'IOException' {
    Test-Open 'Read' { [IO.File]::Delete($state) }
}
Test-Belief 'a file that another holds for itself cannot be read' 'IOException' {
    Test-Open 'None' { $null = [IO.File]::ReadAllText($state) }
}
Test-Belief 'a file that another process writes as its log can be read by sharing ReadWrite' 'read' {
    $process = Start-It $cmd '/d /c ping -n 4 127.0.0.1'
    $log = @(Get-ChildItem -LiteralPath $Folder -Filter '*.out' | Sort-Object -Property LastWriteTimeUtc)[-1].FullName
    try { $null = [IO.File]::Open($log, 'Open', 'Read', 'ReadWrite').Dispose(); 'read' } finally { $process.WaitForExit() }
}
Test-Belief 'Replace puts the new file in place of the old' 'new' {
    [IO.File]::WriteAllText($state, 'old')
    [IO.File]::WriteAllText($new, 'new')
    [IO.File]::Replace($new, $state, [NullString]::Value)
    [IO.File]::ReadAllText($state)
}
Test-Belief 'Replace fails when there is nothing to replace' 'FileNotFoundException' {
    [IO.File]::WriteAllText($new, 'new')
    [IO.File]::Replace($new, (Join-Path $Folder 'none.json'), [NullString]::Value)
}
Test-Belief 'Move does not replace a file' 'IOException' {
    [IO.File]::WriteAllText($new, 'new')
    [IO.File]::Move($new, $state)
}
Test-Belief 'Move-Item -Force replaces a file' 'new' {
    [IO.File]::WriteAllText($new, 'new')
    Move-Item -LiteralPath $new -Destination $state -Force
    [IO.File]::ReadAllText($state)
}

# Names and paths
Test-Belief 'names of files do not know case' 'True' { [IO.File]::Exists((Join-Path $Folder 'STATE.Json')) }
Test-Belief 'CreateNew refuses a name that is there in another case' 'IOException' {
    [IO.File]::Open((Join-Path $Folder 'STATE.JSON'), 'CreateNew', 'Write').Dispose()
}
Test-Belief 'names of environment variables do not know case' 'True' { $env:PROGRAMDATA -ceq $env:ProgramData }
Test-Belief '%ProgramData% is a folder at the root of the system drive' 'True' {
    $env:ProgramData -eq (Join-Path "$env:SystemDrive\" 'ProgramData') -and (Test-Path -LiteralPath $env:ProgramData)
}
Test-Belief 'a blank or a dot at the end of a name is lost' 'True' {
    [IO.File]::WriteAllText((Join-Path $Folder 'trailing. '), 'x')
    [IO.File]::Exists((Join-Path $Folder 'trailing'))
}
Test-Belief 'a junction has the attribute ReparsePoint' 'True' {
    $null = New-Item -ItemType Junction -Path (Join-Path $Folder 'link') -Value $System
    [bool]([IO.File]::GetAttributes((Join-Path $Folder 'link')) -band [IO.FileAttributes]::ReparsePoint)
}

# Mutexes
$name = 'Global\quiesce-observe-' + $PID
$takes = Get-File 'take.ps1' (@('$m = New-Object Threading.Mutex($false, $args[0])',
    'if (-not $m.WaitOne(0)) { exit 3 }', 'New-Item -ItemType File -Path $args[1] | Out-Null', 'Start-Sleep -Seconds 60') -join "`r`n")
$taken = Join-Path $Folder 'taken.flag'
$owner = Start-It $PowerShell (Get-Script $takes "$name `"$taken`"")
$mutex = New-Object Threading.Mutex($false, $name)
Test-Belief 'a Global mutex keeps other processes out' 'False' {
    if (-not (Wait-For { Test-Path -LiteralPath $taken })) { return 'the owner did not start' }
    $mutex.WaitOne(0)
}
Test-Belief 'a Global mutex whose owner was killed goes to the next as abandoned' 'AbandonedMutexException' {
    $owner.Kill()
    $owner.WaitForExit()
    $mutex.WaitOne(5000)
}

# Rights and tasks
Test-Belief 'icacls by SID leaves SYSTEM and Administrators alone' '2 rules, protected' {
    $private = (New-Item -ItemType Directory -Path (Join-Path $Folder 'private')).FullName
    $code = Get-ExitCode (Join-Path $System 'icacls.exe') `
        "`"$private`" /inheritance:r /grant:r *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F"
    $acl = Get-Acl -LiteralPath $private
    "$(@($acl.Access).Count) rules, $(if ($acl.AreAccessRulesProtected) { 'protected' } else { "inherited, icacls $code" })"
}
Test-Belief 'schtasks registers a task from XML, runs it and deletes it' 'ran' {
    $ran = Join-Path $Folder 'ran.flag'
    $xml = '<?xml version="1.0" encoding="UTF-16"?><Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">' +
        '<Principals><Principal id="Author"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel></Principal></Principals>' +
        '<Settings><Priority>4</Priority></Settings><Actions Context="Author"><Exec>' +
        "<Command>$cmd</Command><Arguments>/d /c echo ran &gt;&quot;$ran&quot;</Arguments></Exec></Actions></Task>"
    $file = Join-Path $Folder 'task.xml'
    [IO.File]::WriteAllText($file, $xml, [Text.Encoding]::Unicode)
    $schtasks = Join-Path $System 'schtasks.exe'
    $task = '\Quiesce\observe-' + $PID
    $created = Get-ExitCode $schtasks "/create /tn `"$task`" /xml `"$file`" /f"
    $started = Get-ExitCode $schtasks "/run /tn `"$task`""
    $seen = if (Wait-For { Test-Path -LiteralPath $ran }) { 'ran' } else { "create $created, run $started, nothing ran" }
    $deleted = Get-ExitCode $schtasks "/delete /tn `"$task`" /f"
    if ($deleted -ne 0) { "$seen, delete $deleted" } else { $seen }
}

Close-Beliefs
