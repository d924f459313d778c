# before_<policy> for Exchange: VSS brings the databases to rest. This looks whether it can ask them at all: the
# Information Store must run, and the Replication service, which has Exchange's writer.
$ErrorActionPreference = 'Stop'
foreach ($name in 'MSExchangeIS', 'MSExchangeRepl') {
    $service = Get-Service -Name $name
    if ($service.Status -ne 'Running') {
        "$name is $($service.Status): VSS could not bring the databases to rest."
        exit 1
    }
}
exit 0
