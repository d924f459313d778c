# ---- Whose server this is, and whose folder -------------------------------------------------------------------------

function Get-Root { Join-Path $env:ProgramData 'Quiesce' }

function Get-RunFolder { Join-Path (Join-Path (Get-Root) 'runs') $RunId }

function Test-Ours([string]$Path) {
    # Whether SYSTEM or Administrators own it, and it is no link.
    $attributes = (Get-Item -LiteralPath $Path -Force).Attributes
    if ($attributes -band [IO.FileAttributes]::ReparsePoint) { return $false }
    (Get-Acl -LiteralPath $Path).Sddl -cmatch '\AO:(SY|BA)G:'
}

function Test-Closed([string]$Folder) {
    # Whether nobody but SYSTEM and Administrators has rights on it, and nothing of another's may be left in it.
    (Get-Acl -LiteralPath $Folder).Sddl -cmatch '\AO:(SY|BA)G:[^:]+D:P(AI)?(\(A;OICI;FA;;;(SY|BA)\))+\z' -and
        -not (Test-Path -LiteralPath (Join-Path $Folder 'adopting'))
}

function Assert-Trusted([string]$Folder) {
    # SYSTEM runs the files in here. Users may create folders in ProgramData, so one may have made this before us.
    if (-not (Test-Ours $Folder)) { throw "FolderNotTrusted: $Folder is a link, or another's" }
    if (-not (Test-Closed $Folder)) { throw "FolderNotTrusted: $Folder has $((Get-Acl -LiteralPath $Folder).Sddl)" }
}

function Get-Metadata([string]$Method, [string]$Path, [string]$Header, [string]$Value) {
    # Never through a proxy: it would return the id of its own server.
    $endpoint = 'http://169.254.169.254'
    if ($env:AWS_EC2_METADATA_SERVICE_ENDPOINT) { $endpoint = $env:AWS_EC2_METADATA_SERVICE_ENDPOINT }
    $request = [Net.WebRequest]::Create("$endpoint$Path")
    $request.Proxy = $null
    $request.Method = $Method
    $request.Timeout = 2000
    $request.Headers.Add($Header, $Value)
    $response = $request.GetResponse()
    try { (New-Object IO.StreamReader $response.GetResponseStream()).ReadToEnd() } finally { $response.Dispose() }
}

function Get-OwnIdentity {
    # From IMDSv2, which comes up late after a boot; else from the agent, which passes it to verbs only; else '' and
    # why. Where that is not known a clone's application is thawed unasked, so soon after a boot this waits for longer.
    $own = @{ Id = "$env:AWS_SSM_INSTANCE_ID"; Why = '' }
    $upMs = [Environment]::TickCount                 # negative after 25 days
    $seconds = if ($own.Id) { 0 } elseif (($upMs -ge 0) -and ($upMs -lt 300000)) { 120 } else { 8 }
    $null = Wait-Until $seconds {
        try {
            $token = Get-Metadata 'PUT' '/latest/api/token' 'X-aws-ec2-metadata-token-ttl-seconds' '60'
            $own.Id = Get-Metadata 'GET' '/latest/meta-data/instance-id' 'X-aws-ec2-metadata-token' $token
            $true
        } catch [Net.WebException], [IO.IOException], [UnauthorizedAccessException] {
            $own.Why = "no answer of the metadata service: $($_.Exception.Message)"
            $false
        }
    }
    $own
}

function Get-Doubt([string]$Owner) {
    # A recovery point contains this folder and its tasks. On a server booted from it, they must not act.
    # Returns why the server's id is not known, or '': if not, after still runs, but nothing that cannot be undone.
    $own = Get-OwnIdentity
    if ($own.Id -and ($own.Id -cne $Owner)) { throw "ForeignServer: this is $($own.Id), not $Owner" }
    if ($own.Id) { '' } else { $own.Why }
}

function Assert-Own([string]$Owner) {
    $doubt = Get-Doubt $Owner
    if ($doubt) { throw "IdentityUnknown: $doubt" }
}
