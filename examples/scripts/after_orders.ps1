# after_<policy>: let the application go on. $Before is 1 if the before script succeeded, else 0.
# quiesce runs it on every path, even if the before script never ran: it must do no harm then.
param([string]$Before)
$ErrorActionPreference = 'Stop'
$folder = Join-Path $env:ProgramData 'OrdersApp'
$paused = Join-Path $folder 'paused'
if (-not (Test-Path -LiteralPath $folder)) {
    'The orders application is not installed on this server.'
    exit 1
}
if (Test-Path -LiteralPath $paused) { Remove-Item -LiteralPath $paused }
"Orders are taken again; the before script's result was $Before."
exit 0
