# before_<policy> for any application that is a service: stop it, if it runs. Services that depend on it keep it from
# being stopped, which is a failure: stop those by name, too, and start them again in the after script.
$ErrorActionPreference = 'Stop'
$name = 'OrdersService'
$stopped = Join-Path $PSScriptRoot "$name-stopped-by-backup"
$service = Get-Service -Name $name
if ($service.Status -eq 'Stopped') {
    "$name does not run, and stays so."
    exit 0
}
# First, because the limit of this script may end it at any line. Only administrators can write into its folder.
[IO.File]::WriteAllText($stopped, '')
Stop-Service -Name $name -NoWait
$service.WaitForStatus('Stopped', [timespan]::FromSeconds(45))
"$name is stopped."
exit 0
