# complete_<policy> for MySQL: nothing to do. MySQL removes its binary logs by itself (binlog_expire_logs_seconds).
param([string]$Backup)
exit 0
