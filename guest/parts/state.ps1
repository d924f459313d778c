# ---- The sessions on this server, as their files tell ---------------------------------------------------------------

function Read-Session {
    # Reads the attempt's folder, whichever server it was made on.
    $run = Get-RunFolder
    if (-not (Test-Path -LiteralPath $run)) { throw "NotStaged: $RunId" }
    Assert-Trusted (Get-Root)
    $manifest = ConvertFrom-Json -InputObject (Read-Text (Join-Path $run 'manifest.json'))
    @{ Run = $run; Folder = Join-Path $run $Attempt; Manifest = $manifest; State = $null; Unsaved = $false
       Doubt = ''; DiskShadow = $null; Holder = $null; CreateSeconds = 0; Copies = @() }
}

function Open-Session {
    # As every verb of the session's own server does. This refuses a clone.
    $session = Read-Session
    $session.Doubt = Get-Doubt $session.Manifest.instance
    $session
}

function Read-State([string]$Folder) {
    # While Windows replaces the file it may be missing for a moment. After a hard stop, and so in a recovered C:, the
    # newest may be zeros, empty or half: then the one before it counts, or the next, which takes that one's place.
    $read = @{ State = $null }
    foreach ($name in 'state.json', 'state.json.old', 'state.json') {
        $file = Join-Path $Folder $name
        $found = Wait-Until 3 {
            try {
                $read.State = ConvertFrom-Json -InputObject (Read-Text $file)
                $Phases -ccontains $read.State.phase
            } catch [IO.IOException], [UnauthorizedAccessException] { $false }
            catch { $read.State = $null; $true }
        }
        if ($found -and ($null -ne $read.State)) { return $read.State }
    }
    throw "StateUnreadable: $Folder"
}

function Update-State($Session) { $Session.State = Read-State $Session.Folder }

function Get-Attempts([string]$Run) {
    # A name with a dot is a draft: its process is about to move it, or died. A missing run was old and just removed.
    if ([IO.Path]::GetFileName($Run) -cmatch '\.') { return }
    try { $folders = [IO.Directory]::GetDirectories($Run) } catch [IO.DirectoryNotFoundException] { return }
    $folders | Where-Object {
        ([IO.Path]::GetFileName($_) -cmatch '\A[0-9]+\z') -and (Test-Path -LiteralPath (Join-Path $_ 'runner.lock'))
    }
}

function Get-Sessions {
    # Every session on this server; its State is $null if it cannot be read.
    $runs = Join-Path (Get-Root) 'runs'
    if (-not (Test-Path -LiteralPath $runs)) { return }
    foreach ($run in [IO.Directory]::GetDirectories($runs)) {
        foreach ($folder in Get-Attempts $run) {
            @{ Run = $run; Folder = $folder; Name = "$([IO.Path]::GetFileName($run))/$([IO.Path]::GetFileName($folder))"
               State = Read-Fact $folder { Read-State $folder } }
        }
    }
}

function Get-Overdue([string]$Owner) {
    # The sessions that are open an hour past their limit, whatever the reason: their tasks are gone or do not start,
    # or the clock was ahead when they began.
    foreach ($session in @(Get-Sessions)) {
        $state = $session.State
        if (($null -eq $state) -or ($state.instance -cne $Owner) -or ($state.phase -ceq 'ended')) { continue }
        $manifest = ConvertFrom-Json -InputObject (Read-Text (Join-Path $session.Run 'manifest.json'))
        $age = [math]::Abs((Get-Milliseconds) - $state.createdMs) / 1000
        if ($age -le $manifest.limitSeconds.session + 3600) { continue }
        [ordered]@{ run = $state.run; attempt = $state.attempt; phase = $state.phase; createdMs = $state.createdMs }
    }
}

function Get-Strange([string]$Owner) {
    # The sessions that nobody here can go on with: unreadable ones, and those of the server that this one is a copy of.
    $strange = [ordered]@{ unreadable = @(); foreign = @() }
    foreach ($session in @(Get-Sessions)) {
        if ($null -eq $session.State) { $strange.unreadable += $session.Name }
        elseif (($session.State.instance -cne $Owner) -and ($session.State.phase -cne 'ended')) {
            $strange.foreign += "$($session.Name) of $($session.State.instance)"
        }
    }
    $strange
}
