# before_<policy> for SQL Server: VSS brings the databases to rest. This looks whether it can ask them at all: the
# services of the instance and of its writer must run.
$ErrorActionPreference = 'Stop'
foreach ($name in 'MSSQLSERVER', 'SQLWriter') {
    $service = Get-Service -Name $name
    if ($service.Status -ne 'Running') {
        "$name is $($service.Status): VSS could not bring the databases to rest."
        exit 1
    }
}
exit 0
