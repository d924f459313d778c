# after_<policy> for PostgreSQL: the before script holds nothing.
param([string]$Before)
exit 0
