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
