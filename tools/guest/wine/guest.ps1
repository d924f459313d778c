# Runs the guest's functions for files and processes on a real Windows file system, or on Wine's.
# On a server: powershell.exe -NoProfile -File guest.ps1 -Guest C:\path\quiesce.ps1. It works in a folder of its own.
# With -Role it is one of the processes that the beliefs below start.
[CmdletBinding()]
param([string]$Guest, [string]$PowerShell = (Get-Process -Id $PID).Path, [string]$Role = '', [string]$Shared = '')
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$script = [System.Management.Automation.Language.Parser]::ParseFile($Guest, [ref]$null, [ref]$null)
foreach ($function in $script.FindAll({ $args[0] -is [System.Management.Automation.Language.FunctionDefinitionAst] }, $false)) {
    . ([scriptblock]::Create($function.Extent.Text))
}
function Get-SystemFile([string]$Name) {
    # The PowerShell that runs this script, where the guest would start powershell.exe: Wine's is a stub.
    if ($Name.EndsWith('powershell.exe')) { $PowerShell } else { Join-Path (Join-Path $env:SystemRoot 'System32') $Name }
}
$Verb = 'session'
$CollectOutput = 'true'
$MaxFileBytes = 10MB
$session = @{ Folder = $Shared; Unsaved = $false; State = [pscustomobject]@{ number = 0; padding = 'x' * 4000 } }

switch ($Role) {
    'writer' {
        $saved = 0
        foreach ($number in 1..40) { $session.State.number = $number; if (Save-State $session) { $saved++ } }
        [IO.File]::WriteAllText((Join-Path $Shared 'saved.txt'), "$saved")
        exit 0
    }
    'packer' {
        $session.Run = $Shared
        $packed = 0
        while (-not (Test-Path -LiteralPath (Join-Path $Shared 'enough'))) {
            $null = New-Archive $session (Join-Path $Shared "packed.$packed")
            $packed++
        }
        [IO.File]::WriteAllText((Join-Path $Shared 'packed.txt'), "$packed")
        exit 0
    }
    'locker' {
        $lock = Open-Lock (Join-Path $Shared 'runner.lock')
        [IO.File]::WriteAllText((Join-Path $Shared 'locked.txt'), "$($null -ne $lock)")
        Start-Sleep -Seconds 60
        exit 0
    }
    'racer' {
        while (-not (Test-Path -LiteralPath (Join-Path $Shared 'go'))) { }
        $won = @(1..40 | Where-Object { New-Flag (Join-Path $Shared "flag$_") 'x' }).Count
        [IO.File]::WriteAllText((Join-Path $Shared "won.$PID"), "$won")
        exit 0
    }
}

. (Join-Path $PSScriptRoot 'beliefs.ps1')
$session.Folder = $Folder
function Start-Role([string]$Name) { Start-It $PowerShell (Get-Script $PSCommandPath "-Guest `"$Guest`" -Role $Name -Shared `"$Folder`"") }

# The state file
$null = Get-File 'state.json' (ConvertTo-Line $session.State)
$state = Join-Path $Folder 'state.json'
Test-Belief 'while the state is written over and over, a reader sees whole ones only' 'whole' {
    $writer = Start-Role 'writer'
    while (-not $writer.HasExited) { Update-State $session; if ($session.State.padding.Length -ne 4000) { return 'torn' } }
    if ($writer.ExitCode -eq 0) { 'whole' } else { "writer ended with $($writer.ExitCode)" }
}
Test-Belief 'the writer gets through while another reads as the guest does' 'at least 35 of 40' {
    $saved = [int][IO.File]::ReadAllText((Join-Path $Folder 'saved.txt'))
    if ($saved -ge 35) { 'at least 35 of 40' } else { "$saved of 40" }
}
Test-Belief 'a state that a scanner holds open is reported as not saved, and is saved after it' 'False, then True' {
    $scanner = [IO.File]::Open($state, 'Open', 'Read', 'Read')
    try { $during = Save-State $session } finally { $scanner.Dispose() }
    "$during, then $(Save-State $session)"
}
Test-Belief 'a state that vanished while it was replaced can be saved again' 'True' {
    [IO.File]::Delete($state)
    Save-State $session
}
if (-not (Test-Path -LiteralPath $state)) { $null = Get-File 'state.json' (ConvertTo-Line $session.State) }

# The files of a session
$null = Get-File 'manifest.json' '{}'
$session.Run = $Folder
Test-Belief 'the runner saves its state each time, within a second, while the files of its session are packed over and over' '40 of 40' {
    $packer = Start-Role 'packer'
    if (-not (Wait-For { Test-Path -LiteralPath (Join-Path $Folder 'packed.1') })) { return 'the packer did not start' }
    $saved = @(1..40 | Where-Object { Save-State $session }).Count
    $null = Get-File 'enough' ''
    if (-not $packer.WaitForExit(30000)) { return 'the packer did not end' }
    "$saved of 40"
}
Test-Belief 'what a script prints is packed while it runs' 'whole' {
    $path = Get-File 'before_x.cmd' "@echo off`r`necho printed`r`nping -n 20 127.0.0.1`r`n"
    $script = Start-Script $session 'before' $path ''
    if (-not (Wait-For { (Get-Item -LiteralPath (Join-Path $Folder 'before.out')).Length -gt 8 })) { return 'it prints nothing' }
    $files = @(New-Archive $session (Join-Path $Folder 'running.zip'))
    $running = -not $script.HasExited
    Stop-Process -InputObject $script -Force
    $printed = @($files | Where-Object { ($_.name -ceq 'before.out') -and ($_.bytes -gt 8) })
    if ($running -and ($printed.Count -eq 1)) { 'whole' } else { "$running, $(ConvertTo-Line $files)" }
}
Test-Belief 'a file that a scanner keeps for itself is packed by name only' 'unreadable-manifest.json, state.json' {
    $scanner = [IO.File]::Open((Join-Path $Folder 'manifest.json'), 'Open', 'Read', 'None')
    try { $files = @(New-Archive $session (Join-Path $Folder 'scanned.zip')) } finally { $scanner.Dispose() }
    "$($files[0].name), $($files[1].name)"
}

# Locks and flags
$locker = Start-Role 'locker'
Test-Belief 'a second process does not get the lock of the runner' 'True, then False' {
    if (-not (Wait-For { Test-Path -LiteralPath (Join-Path $Folder 'locked.txt') })) { return 'the locker did not start' }
    "$([IO.File]::ReadAllText((Join-Path $Folder 'locked.txt'))), then $($null -ne (Open-Lock (Join-Path $Folder 'runner.lock')))"
}
Test-Belief 'the lock of a runner that was killed is free' 'True' {
    $locker.Kill()
    $locker.WaitForExit()
    $lock = Open-Lock (Join-Path $Folder 'runner.lock')
    if ($lock) { $lock.Dispose() }
    $null -ne $lock
}
Test-Belief 'of two processes that set the same 40 flags each flag has one winner' '40' {
    $racers = @((Start-Role 'racer'), (Start-Role 'racer'))
    $null = Get-File 'go' ''
    foreach ($racer in $racers) { $racer.WaitForExit() }
    $won = @(Get-ChildItem -LiteralPath $Folder | Where-Object { $_.Name.StartsWith('won.') })
    ($won | ForEach-Object { [int][IO.File]::ReadAllText($_.FullName) } | Measure-Object -Sum).Sum
}

# Scripts of the customer
$null = New-Item -ItemType Directory -Path (Join-Path $Folder 'my scripts')
foreach ($kind in @(
    @{ name = 'after_x.ps1'; text = '[Console]::Out.Write("got $($args[0])"); exit 3010' },
    @{ name = 'after_x.cmd'; text = "@echo off`r`n<nul set /p x=got %1`r`nexit /b 3010`r`n" },
    @{ name = 'after_x.bat'; text = "@echo off`r`n<nul set /p x=got %1`r`nexit 3010`r`n" })) {
    Test-Belief "a script $($kind.name) gets its argument, and its exit code and output arrive whole" '3010, got 1' {
        $path = Get-File (Join-Path 'my scripts' $kind.name) $kind.text
        $process = Start-Script $session $kind.name $path '1'
        if (-not $process.WaitForExit(30000)) { return 'still running' }
        "$($process.ExitCode), $((Read-Text (Join-Path $Folder "$($kind.name).out")).Trim())"
    }
}
Test-Belief 'a child that a script leaves behind does not keep its script from ending, and its output can be read' '0, left' {
    $path = Get-File 'leaves.cmd' "@echo off`r`necho left`r`nstart `"`" /b ping -n 20 127.0.0.1`r`nexit /b 0`r`n"
    $process = Start-Script $session 'leaves' $path ''
    if (-not $process.WaitForExit(10000)) { return 'waits for the child' }
    "$($process.ExitCode), $((Read-Text (Join-Path $Folder 'leaves.out')).Substring(0, 4))"
}
@(Get-Process -Name 'ping' -ErrorAction SilentlyContinue) | Stop-Process -Force
Close-Beliefs
