# complete_<policy>: clear up. $Backup is 1 only if the whole backup and both earlier scripts succeeded, else 0.
# Keep what the next backup needs after a failed one: this script empties the log of orders only after a good one.
param([string]$Backup)
$ErrorActionPreference = 'Stop'
$log = Join-Path (Join-Path $env:ProgramData 'OrdersApp') 'orders.log'
if ($Backup -cne '1') {
    'The backup is not good: the log stays.'
    exit 0
}
if (-not (Test-Path -LiteralPath $log)) {
    'There is no log of orders to empty.'
    exit 1
}
[IO.File]::WriteAllText($log, '')
'The log of orders is empty.'
exit 0
