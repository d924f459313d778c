# session_<policy> for MySQL: one connection has the global read lock from QUIESCE_FROZEN to QUIESCE_THAW.
# The lock ends with the connection, and the connection with this script, whatever becomes of either.
# The file with the account and its password must be one that only administrators can read.
$ErrorActionPreference = 'Stop'
$options = '"--defaults-extra-file=C:\ProgramData\MySQL\backup.cnf" --batch --skip-column-names --unbuffered'
$start = New-Object Diagnostics.ProcessStartInfo 'mysql', $options
$start.UseShellExecute = $false
$start.RedirectStandardInput = $start.RedirectStandardOutput = $true
$mysql = [Diagnostics.Process]::Start($start)
try {
    # While the lock waits for a long query, all later ones wait behind it: 20 s, less than the policy's before_limit_s.
    $mysql.StandardInput.WriteLine('SET SESSION lock_wait_timeout = 20; FLUSH LOCAL TABLES WITH READ LOCK;')
    $mysql.StandardInput.WriteLine("SELECT 'held';")
    if ($mysql.StandardOutput.ReadLine() -cne 'held') { exit 1 }
    [IO.File]::WriteAllText($env:QUIESCE_FROZEN, '')
    'MySQL takes no writes.'
    while (-not (Test-Path -LiteralPath $env:QUIESCE_THAW)) {
        if ($mysql.HasExited) { exit 1 }
        Start-Sleep -Milliseconds 200
    }
    $mysql.StandardInput.WriteLine('UNLOCK TABLES;')
    $mysql.StandardInput.Close()
    if (-not $mysql.WaitForExit(20000) -or ($mysql.ExitCode -ne 0)) { exit 1 }
    'MySQL takes writes again.'
    exit 0
} finally {
    if (-not $mysql.HasExited) { $mysql.Kill() }
}
