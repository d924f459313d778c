# Stand-in for Register-ScheduledTask, which PowerShell has on Windows only: the machine's own program does what Task Scheduler does.
Set-StrictMode -Version Latest

function Register-ScheduledTask {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)][string]$TaskName, [Parameter(Mandatory)][string]$TaskPath,
        [Parameter(Mandatory)][string]$Xml, [Parameter(Mandatory)][switch]$Force
    )
    $file = Join-Path $env:FAKE_WINDOWS "tmp/$([guid]::NewGuid()).xml"
    [IO.File]::WriteAllText($file, $Xml, [Text.Encoding]::Unicode)
    $words = & (Join-Path $env:FAKE_WINDOWS 'register-task') $TaskPath $TaskName $file
    if ($LASTEXITCODE -ne 0) { throw "$words" }
    [pscustomobject]@{ TaskName = $TaskName }
}
Export-ModuleMember -Function Register-ScheduledTask
