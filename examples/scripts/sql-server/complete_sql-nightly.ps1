# complete_<policy> for SQL Server: after a good backup back up the transaction logs, which truncates them.
# SYSTEM needs the right to do that on each database (a login NT AUTHORITY\SYSTEM with db_backupoperator or sysadmin).
# The folder must be there, and on a volume that is in the backup or copied elsewhere: the files belong to the chain.
param([string]$Backup)
$ErrorActionPreference = 'Stop'
$instance = '.'
$folder = 'D:\LogBackups'
if ($Backup -cne '1') {
    'The backup is not good: the logs stay.'
    exit 0
}
if (-not (Test-Path -LiteralPath $folder)) {
    "There is no folder $folder."
    exit 1
}
# Not those of which no full backup was ever made: their logs are truncated anyway, and BACKUP LOG refuses them.
$sql = @"
SET NOCOUNT ON;
DECLARE @name sysname, @file nvarchar(400);
DECLARE logs CURSOR LOCAL FAST_FORWARD FOR
    SELECT d.name FROM sys.databases d JOIN sys.database_recovery_status s ON s.database_id = d.database_id
    WHERE d.state = 0 AND d.recovery_model <> 3 AND d.name <> N'model' AND s.last_log_backup_lsn IS NOT NULL
        AND sys.fn_hadr_backup_is_preferred_replica(d.name) = 1;
OPEN logs;
FETCH NEXT FROM logs INTO @name;
WHILE @@FETCH_STATUS = 0
BEGIN
    SET @file = N'$($folder -replace "'", "''")\' + @name + FORMAT(SYSUTCDATETIME(), '_yyyyMMdd_HHmmss') + N'.trn';
    BACKUP LOG @name TO DISK = @file WITH CHECKSUM;
    FETCH NEXT FROM logs INTO @name;
END
"@
# -b: an error in SQL is an exit code, too.
sqlcmd -S $instance -E -b -r 1 -Q $sql
if ($LASTEXITCODE -ne 0) { exit 1 }
exit 0
