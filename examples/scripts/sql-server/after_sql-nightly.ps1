# after_<policy> for SQL Server: VSS holds the databases for seconds, and has let them go on already.
param([string]$Before)
exit 0
