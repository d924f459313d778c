# ---- stage ----------------------------------------------------------------------------------------------------------

function Invoke-Stage {
    # The first stage counts: a second one of the same run answers with the first one's manifest.
    Assert-Own $InstanceId
    Initialize-Root
    Assert-RunName
    $kept = @(Remove-OldRuns $InstanceId)
    $run = Get-RunFolder
    if (-not (Test-Path -LiteralPath $run)) {
        $overdue = @(Get-Overdue $InstanceId)
        foreach ($session in $overdue) { Close-Overdue $session.run $session.attempt }
        # So that AWS learns of an open session before it plans to freeze.
        Assert-NothingOpen $InstanceId
        $draft = Get-DraftName $run
        $null = New-Item -ItemType Directory -Path $draft
        Save-Package $draft
        $shadow = Test-Path -LiteralPath (Join-Path $draft 'shadow.txt')
        Assert-Limits $shadow
        $paths = [ordered]@{ before = ''; after = ''; complete = ''; session = '' }
        $ignored = [ordered]@{}
        foreach ($stage in $Stages) {
            if ($Scripts -ceq 'server') { $paths[$stage] = Find-ServerScript $stage $ignored }
            $name = "${stage}_$Policy.ps1"
            $packed = Test-Path -LiteralPath (Join-Path $draft $name)
            if ($packed -and ($Scripts -ceq 'bucket')) { $paths[$stage] = $name }
        }
        # It is before and after in one, and nobody can say in which order they would go.
        $pair = @($paths.before, $paths.after | Where-Object { $_ })
        if ($paths.session -and $pair) { throw "AmbiguousScript: $(@($paths.session) + $pair -join ', ')" }
        $unsure = Test-Scripts $paths $draft
        $files = @(Get-ChildItem -LiteralPath $draft -File | Sort-Object -Property Name | ForEach-Object {
            [ordered]@{ name = $_.Name; sha256 = (Get-FileHash -LiteralPath $_.FullName -Algorithm SHA256).Hash } })
        $manifest = [ordered]@{
            run = $RunId; instance = $InstanceId; policy = $Policy; source = $Scripts; scripts = $paths; files = $files
            limitSeconds = [ordered]@{
                before = [int]$BeforeTimeoutSeconds; after = [int]$AfterTimeoutSeconds
                complete = [int]$CompleteTimeoutSeconds; create = [int]$CreateTimeoutSeconds
                freeze = [int]$FreezeLimitSeconds; session = [int]$SessionLimitSeconds
            }
            shadow = $shadow; account = Test-Account $draft; unsure = $unsure; ignored = $ignored; overdue = $overdue
            strange = Get-Strange $InstanceId; kept = $kept
        }
        Write-Through (Join-Path $draft 'manifest.json') (ConvertTo-Line $manifest)
        Write-Through (Join-Path $draft 'nonce') ("$([guid]::NewGuid())" -creplace '-')
        $null = Move-Once $draft $run
    }
    $staged = ConvertFrom-Json -InputObject (Read-Text (Join-Path $run 'manifest.json'))
    if ($staged.instance -cne $InstanceId) { throw "ForeignServer: $RunId was staged on $($staged.instance)" }
    $staged
}

function Test-Account([string]$Folder) {
    # The account of the policy, where it names one: its task has begun once, else its script says why not.
    $file = Join-Path $Folder 'account'
    if (-not (Test-Path -LiteralPath "$file.txt")) { return '' }
    $call = Get-PowerShellArguments "$file.ps1" "-Verb rehearsal -RunId $RunId"
    $null = Invoke-SystemProgram 'WindowsPowerShell\v1.0\powershell.exe' $call 60
    $why = ConvertFrom-Json -InputObject (Read-Text "$file.why")
    if ($why) { throw "AccountNotUsable: $why" }
    Read-Text "$file.txt"
}

function Assert-RunName {
    # Windows has one folder for names that differ by case only, and none for those of devices.
    if ($RunId -cmatch '\A(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])\z') { throw 'InvalidParameter: RunId, a device' }
    foreach ($folder in [IO.Directory]::GetDirectories((Join-Path (Get-Root) 'runs'))) {
        $name = [IO.Path]::GetFileName($folder)
        if (($name -eq $RunId) -and ($name -cne $RunId)) { throw "RunNameTaken: there is a run $name" }
    }
}

function Assert-Limits([bool]$Shadow) {
    # Together those of a policy: whoever may only send the document cannot hold an application for longer.
    $seconds = [int]$BeforeTimeoutSeconds + [int]$AfterTimeoutSeconds + [int]$CompleteTimeoutSeconds + 120
    if ($Shadow) { $seconds += [int]$CreateTimeoutSeconds + 180 }
    if ($seconds -gt 840) { throw "InvalidParameter: the limits make $seconds s, more than 840" }
}

function Assert-NothingOpen([string]$Owner) {
    # A server has one open session at a time. An earlier attempt of this run only has to be thawed.
    foreach ($session in @(Get-Sessions)) {
        $other = $session.State
        if ($null -eq $other) {
            if (-not (Test-Free $session)) { throw "SessionOpen: $($session.Name) is at work, its state unreadable" }
            continue
        }
        $earlier = ($other.run -ceq $RunId) -and ($other.attempt -lt [int]$Attempt)
        if (($other.instance -cne $Owner) -or ($other.phase -ceq 'ended')) { continue }
        if (-not ($earlier -and ($other.phase -ceq 'thawed'))) {
            throw "SessionOpen: $($other.run) attempt $($other.attempt) is $($other.phase)"
        }
    }
}

function Close-Overdue([string]$RunId, [string]$Attempt) {
    # Its own watchdog ends it, with 0 if AWS never asked, and with the script that it was staged with. $RunId and
    # $Attempt hide those of this run from the functions that are called here.
    $session = Open-Session
    $null = New-Flag (Join-Path $session.Folder 'complete.flag') '0'
    Register-Watchdog $session
    $null = Start-Task 'watchdog' 45 { (Read-State $session.Folder).phase -ceq 'ended' }
}

function Save-Package([string]$Folder) {
    # What AWS packed for this run: the session's own script, DiskShadow's script, the bucket's scripts. The command has
    # its hash, so nothing is run that another put in its place.
    $path = Join-Path $Folder 'package.zip'
    [Net.ServicePointManager]::SecurityProtocol = 'Tls12'
    try { Invoke-WebRequest -UseBasicParsing -Uri $PackageLink -OutFile $path -TimeoutSec 60 }
    catch { throw "PackageNotFetched: $($_.Exception.Message)" }
    $bytes = (Get-Item -LiteralPath $path).Length
    if ($bytes -gt $MaxFileBytes) { throw "PackageTooLarge: it has $bytes bytes, more than $MaxFileBytes" }
    $hash = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash
    if ($hash -ne $PackageHash) { throw "PackageChanged: its $bytes bytes have the SHA-256 $hash, not $PackageHash" }
    Add-Type -AssemblyName 'System.IO.Compression'
    $stream = Open-Shared $path
    try {
        foreach ($entry in (New-Object IO.Compression.ZipArchive $stream, 'Read').Entries) {
            if (-not ($entry.FullName -cmatch '\A\w[\w.-]{0,99}\z')) { throw "PackageWrong: it has $($entry.FullName)" }
            $target = [IO.File]::Open((Join-Path $Folder $entry.FullName), 'CreateNew', 'Write', 'None')
            $source = $entry.Open()
            try { $source.CopyTo($target) } finally { $source.Dispose(); $target.Dispose() }
        }
    } finally { $stream.Dispose() }
    Remove-Item -LiteralPath $path -Force
}

$Startable = '.ps1', '.cmd', '.bat', '.vbs', '.exe', '.com'

function Find-ServerScript([string]$Stage, $Ignored) {
    # In the owner's folder, else in the one for all: the prefix in upper or lower case, the policy's name exactly, an
    # extension that Start-Script can start. Something may stand between them, as in before_x.test.cmd, and counts where
    # nothing is called before_x.cmd. If there are only others, as a log or a copy, they are told.
    $root = Join-Path (Get-Root) 'scripts'
    $beside = ''
    foreach ($folder in (Join-Path $root $Owner), $root) {
        if (-not (Test-Path -LiteralPath $folder -PathType Container)) { continue }
        $named = @(Get-ChildItem -LiteralPath $folder -File | Where-Object {
            $_.Name.StartsWith("${Stage}_", [StringComparison]::OrdinalIgnoreCase) -and
            (@($_.Name.Substring($Stage.Length + 1) -csplit '\.')[0] -ceq $Policy)
        } | ForEach-Object { $_.FullName } | Sort-Object)
        $found = @($named | Where-Object { $Startable -ccontains [IO.Path]::GetExtension($_).ToLowerInvariant() })
        $plain = @($found | Where-Object { @([IO.Path]::GetFileName($_) -csplit '\.').Count -eq 2 })
        if ($plain.Count -gt 0) { $found = $plain }
        if ($found.Count -gt 1) { throw "AmbiguousScript: $($found -join ', ')" }
        if ($found.Count -eq 1) { return $found[0] }
        if ($named.Count -gt 0) { $beside = [IO.Path]::GetFileName($named[0]) }
    }
    if ($beside) { $Ignored[$Stage] = $beside }
    ''
}

function Remove-OldRuns([string]$Owner) {
    # After 14 days, as the agent does with its own output. No session lives that long, unless the clock was wrong.
    # One at a time, and not while a session begins: if the lock is taken, a later stage removes the old runs.
    # Returns those that it could not remove: Windows does not delete what a process has open. Refuses nothing.
    $lock = Open-Lock (Join-Path (Get-Root) 'server.lock')
    if ($null -eq $lock) { return }
    try {
        $sessions = @(Get-Sessions)
        foreach ($run in [IO.Directory]::GetDirectories((Join-Path (Get-Root) 'runs'))) {
            $age = [IO.Directory]::GetLastWriteTimeUtc($run)
            if ($age -gt [datetime]::UtcNow.AddSeconds(-14 * 86400)) { continue }
            $its = @($sessions | Where-Object { $_.Run -ceq $run })
            if (@($its | Where-Object { Test-Needed $_ $Owner }).Count -gt 0) { continue }
            try {
                # On a clone, its ancestor's tasks go with it.
                foreach ($session in $its) {
                    Remove-Tasks ([IO.Path]::GetFileName($run)) ([IO.Path]::GetFileName($session.Folder))
                }
                Remove-Item -LiteralPath $run -Recurse -Force
            } catch {
                [ordered]@{ run = [IO.Path]::GetFileName($run); why = $_.Exception.Message }
                if (Test-Path -LiteralPath $run) { [IO.Directory]::SetLastWriteTimeUtc($run, $age) }
            }
        }
    } finally { $lock.Dispose() }
}

function Test-Needed($Session, [string]$Owner) {
    # Whether a session's folder must stay: it is open here, its shadow copies are not deleted yet, or its runner lives.
    $state = $Session.State
    if ($null -eq $state) { return -not (Test-Free $Session) }
    ($state.instance -ceq $Owner) -and (($state.phase -cne 'ended') -or (Test-CopiesLeft $state $Owner))
}
