# before_<policy> for MySQL 5.7.8 or later: no session may write, and tables outside of InnoDB are flushed.
# FLUSH TABLES WITH READ LOCK would end with this script's connection; super_read_only stays until the after script.
# The file with the account and its password must be one that only administrators can read.
$ErrorActionPreference = 'Stop'
$options = '--defaults-extra-file=C:\ProgramData\MySQL\backup.cnf', '--batch', '--skip-column-names'
$held = Join-Path $PSScriptRoot 'mysql-held-by-backup'
$readOnly = mysql $options '--execute=SELECT @@GLOBAL.read_only'
if ($LASTEXITCODE -ne 0) { exit 1 }
if ("$readOnly".Trim() -ceq '1') {
    # A replica, or an administrator wants it so: the after script must not let it write.
    'MySQL is read-only already.'
    exit 0
}
# Before the statement, whose answer may be lost. Only administrators can write into this script's folder.
[IO.File]::WriteAllText($held, '')
# LOCAL: the flush is no event for replicas.
mysql $options '--execute=SET SESSION lock_wait_timeout = 20; SET GLOBAL super_read_only = ON; FLUSH LOCAL TABLES'
if ($LASTEXITCODE -ne 0) { exit 1 }
'MySQL takes no writes.'
exit 0
