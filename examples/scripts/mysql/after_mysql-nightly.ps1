# after_<policy> for MySQL: let sessions write again, if the before script kept them from it.
param([string]$Before)
$ErrorActionPreference = 'Stop'
$held = Join-Path $PSScriptRoot 'mysql-held-by-backup'
if (-not (Test-Path -LiteralPath $held)) {
    'The before script did not hold MySQL.'
    exit 0
}
# This takes super_read_only back, too.
mysql '--defaults-extra-file=C:\ProgramData\MySQL\backup.cnf' '--execute=SET GLOBAL read_only = OFF'
if ($LASTEXITCODE -ne 0) { exit 1 }
Remove-Item -LiteralPath $held
'MySQL takes writes again.'
exit 0
