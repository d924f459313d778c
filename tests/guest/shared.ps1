# One PowerShell for many verbs, or tasks, of the contract cases, one after the other. Each finds the runspace as in a new
# process, but for modules, which are loaded already: that takes as long as a short verb.
# It reads jobs, a line of JSON each, from -Port of this machine, and answers each with one when it has ended:
#   {"id": 1, "command": "& '/file.ps1'", "environment": {...}}  ->  {"id": 1, "code": 0, "output": "...", "errors": "..."}
#   {"id": 1, "stop": true}                                      ->  nothing; the job's own answer follows
#   {"id": 1, "collect": true}                                   ->  {"id": 1, "collected": true}, for a job that has ended
[CmdletBinding()]
param([Parameter(Mandatory)][int]$Port)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$modules = $env:PSModulePath                     # with those that PowerShell itself adds when it starts
$client = [Net.Sockets.TcpClient]::new('127.0.0.1', $Port)
$client.NoDelay = $true
$reader = [IO.StreamReader]::new($client.GetStream())
$writer = [IO.StreamWriter]::new($client.GetStream())
$writer.AutoFlush = $true
$jobs = @{}
$used = [Collections.Stack]::new()

function Set-ProcessEnvironment($Wanted) {
    foreach ($name in @([Environment]::GetEnvironmentVariables().Keys)) {
        if ($null -eq $Wanted.PSObject.Properties[$name]) { [Environment]::SetEnvironmentVariable($name, $null) }
    }
    foreach ($each in $Wanted.PSObject.Properties) { [Environment]::SetEnvironmentVariable($each.Name, $each.Value) }
    $env:PSModulePath = $modules
}

function Start-Job($Asked) {
    Set-ProcessEnvironment $Asked.environment
    if ($used.Count) { $runspace = $used.Pop() }
    else {
        $runspace = [runspacefactory]::CreateRunspace([initialsessionstate]::CreateDefault2())
        $runspace.Open()
    }
    $shell = [powershell]::Create($runspace)
    $output, $errors = [IO.StringWriter]::new(), [IO.StringWriter]::new()
    [Console]::SetOut([IO.TextWriter]::Synchronized($output))
    [Console]::SetError([IO.TextWriter]::Synchronized($errors))
    # The last value is the exit code: `exit` ends the file, not this PowerShell.
    $null = $shell.AddScript("Set-StrictMode -Off; $($Asked.command); [pscustomobject]@{ ExitCode = `$global:LASTEXITCODE }")
    $jobs[$Asked.id] = @{ Shell = $shell; Result = $shell.BeginInvoke(); Output = $output; Errors = $errors }
}

function Stop-Job($Id) { if ($jobs.ContainsKey($Id)) { $null = $jobs[$Id].Shell.BeginStop($null, $null) } }

function Complete-Job($Id) {
    $job = $jobs[$Id]
    $jobs.Remove($Id)
    $code, $printed, $problems = 1, @(), @()
    try {
        $printed = @($job.Shell.EndInvoke($job.Result))
        $code = $printed[-1].ExitCode
        $printed = @($printed | Select-Object -SkipLast 1)
    } catch { $problems += "$_" }
    # In a process of its own all this would go to stdout and stderr, too.
    $printed += @($job.Shell.Streams.Information) + @($job.Shell.Streams.Warning)
    $problems += @($job.Shell.Streams.Error)
    $runspace, $state = $job.Shell.Runspace, $job.Shell.InvocationStateInfo.State
    $job.Shell.Dispose()
    if ($state -eq 'Completed') {
        $runspace.ResetRunspaceState()
        $runspace.SessionStateProxy.GetVariable('Error').Clear()
        $used.Push($runspace)
    } else { $runspace.Dispose() }
    $answer = @{
        id = $Id; code = $code; output = ($printed | ForEach-Object { "$_`n" }) -join ''
        errors = "$($job.Errors)$($problems | ForEach-Object { "$_`n" })"
    }
    $answer.output += "$($job.Output)"
    $writer.WriteLine((ConvertTo-Json -InputObject $answer -Compress))
}

# The end of a process closes its files, and frees their locks.
function Clear-Job($Id) {
    [GC]::Collect()
    [GC]::WaitForPendingFinalizers()
    $writer.WriteLine((ConvertTo-Json -InputObject @{ id = $Id; collected = $true } -Compress))
}

$next = $reader.ReadLineAsync()
while ($true) {
    $ids = @($jobs.Keys)
    $handles = [Threading.WaitHandle[]](@(([IAsyncResult]$next).AsyncWaitHandle) + @($ids | ForEach-Object { $jobs[$_].Result.AsyncWaitHandle }))
    $ready = [Threading.WaitHandle]::WaitAny($handles)
    if ($ready -gt 0) { Complete-Job $ids[$ready - 1]; continue }
    if ($null -eq $next.Result) { break }
    $asked = ConvertFrom-Json -InputObject $next.Result
    $next = $reader.ReadLineAsync()
    $job = $null
    $names = @($asked.PSObject.Properties.Name)
    if ($names -contains 'stop') { Stop-Job $asked.id }
    elseif ($names -contains 'collect') { Clear-Job $asked.id }
    else { Start-Job $asked }
}
