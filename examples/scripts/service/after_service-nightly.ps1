# after_<policy> for any application that is a service: start it, if the before script has stopped it.
param([string]$Before)
$ErrorActionPreference = 'Stop'
$name = 'OrdersService'
$stopped = Join-Path $PSScriptRoot "$name-stopped-by-backup"
if (-not (Test-Path -LiteralPath $stopped)) {
    "The before script did not stop $name."
    exit 0
}
$service = Get-Service -Name $name
if ($service.Status -eq 'StopPending') { $service.WaitForStatus('Stopped', [timespan]::FromSeconds(30)) }
Start-Service -Name $name
Remove-Item -LiteralPath $stopped
"$name runs again."
exit 0
