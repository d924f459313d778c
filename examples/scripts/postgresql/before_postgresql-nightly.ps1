# before_<policy> for PostgreSQL: a checkpoint, so that a recovery has little to replay.
# PostgreSQL recovers from snapshots of all its volumes at one instant as after a crash, from its own write-ahead log:
# keep data, tablespaces and log on volumes that the policy backs up. It is not held: pg_backup_start lasts as long as
# its connection. The account's password stands in pgpass.conf of SYSTEM, or the server trusts local administrators.
$ErrorActionPreference = 'Stop'
psql --no-psqlrc --no-password --username=backup --dbname=postgres --set=ON_ERROR_STOP=1 --command=CHECKPOINT
if ($LASTEXITCODE -ne 0) { exit 1 }
exit 0
