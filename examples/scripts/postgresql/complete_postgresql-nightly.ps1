# complete_<policy> for PostgreSQL: nothing to do. Archived write-ahead log goes as its own archive says.
param([string]$Backup)
exit 0
