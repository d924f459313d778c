# after_<policy> for Exchange: VSS holds the databases for seconds, and has let them go on already.
param([string]$Before)
exit 0
