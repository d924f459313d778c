# before_<policy>: bring the application to rest. Any exit code but 0 says that it is not at rest.
# The example application takes no orders while a file named "paused" lies in its folder.
$ErrorActionPreference = 'Stop'
$folder = Join-Path $env:ProgramData 'OrdersApp'
if (-not (Test-Path -LiteralPath $folder)) {
    'The orders application is not installed on this server.'
    exit 1
}
[IO.File]::WriteAllText((Join-Path $folder 'paused'), 'by the backup')
'Orders are paused.'
exit 0
