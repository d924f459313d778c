# before_<policy>: hold the application. Any exit code but 0 means that it is not held.
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
