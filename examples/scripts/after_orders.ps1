# after_<policy>: let the application go on. $Before is 1 if the before script succeeded, else 0.
# It is called on every path, also if the before script never ran, so it must do no harm then.
param([string]$Before)
$ErrorActionPreference = 'Stop'
$folder = Join-Path $env:ProgramData 'OrdersApp'
$paused = Join-Path $folder 'paused'
if (-not (Test-Path -LiteralPath $folder)) {
    'The orders application is not installed on this server.'
    exit 1
}
if (Test-Path -LiteralPath $paused) { Remove-Item -LiteralPath $paused }
"Orders go on; before said $Before."
exit 0
