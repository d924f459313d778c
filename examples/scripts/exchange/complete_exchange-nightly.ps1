# complete_<policy> for Exchange: nothing to truncate, because Exchange does that itself when its writer hears that a
# full backup has ended (vss: {backup_type: full}). This only says what became of the backup.
param([string]$Backup)
$ErrorActionPreference = 'Stop'
if ($Backup -cne '1') {
    'The backup is not good: Exchange has not heard of its end, and keeps its logs.'
    exit 0
}
if ((Get-Service -Name 'MSExchangeIS').Status -ne 'Running') {
    'The Information Store has stopped since: look whether the databases are mounted.'
    exit 1
}
exit 0
