# ---- The files of a session -----------------------------------------------------------------------------------------

function Read-Program([string]$Name, [string]$Arguments) {
    # What a Windows program prints, byte for byte, in the server's language and code page.
    $tail = @{ Bytes = @(); Mark = 'unreadable-'; Why = '' }
    try {
        $process = Start-Program (Get-SystemFile $Name) $Arguments ''
        $memory = New-Object IO.MemoryStream
        $printed = $process.StandardOutput.BaseStream.CopyToAsync($memory).Wait(20000) -and $process.WaitForExit(1000)
        if (-not $printed) { $process.Kill(); throw 'TimedOut' }
        if ($process.ExitCode -ne 0) { throw "exit code $($process.ExitCode)" }
        $tail.Bytes = $memory.ToArray()
        $tail.Mark = ''
    } catch {
        $tail.Why = "${Name}: $($_.Exception.Message)"
        [Console]::Error.WriteLine($tail.Why)
    }
    $tail
}

function Add-Entry($Archive, [string]$Name, $Tail) {
    # The entry's name says whether the file is cut or unreadable.
    $entry = "$($Tail.Mark)$Name"
    $target = $Archive.CreateEntry($entry).Open()
    try { $target.Write($Tail.Bytes, 0, $Tail.Bytes.Length) } finally { $target.Dispose() }
    [ordered]@{ name = $entry; bytes = $Tail.Bytes.Length; cut = [bool]$Tail.Mark }
}

function Add-Diagnosis($Archive, [datetime]$Since) {
    # Windows's own events about shadow copies since the run began, newest first, and its providers.
    $sources = @('VSS', 'SPP', 'volsnap', 'Volsnap' | ForEach-Object { "@Name='$_'" }) -join ' or '
    $time = Format-Time $Since "yyyy-MM-dd'T'HH:mm:ss'Z'"
    $query = "*[System[Provider[$sources] and TimeCreated[@SystemTime>='$time']]]"
    foreach ($channel in 'Application', 'System') {
        $arguments = "qe $channel /q:`"$query`" /f:text /rd:true /c:200"
        Add-Entry $Archive "events.$($channel.ToLowerInvariant()).txt" (Read-Program 'wevtutil.exe' $arguments)
    }
    Add-Entry $Archive 'providers.txt' (Read-Program 'vssadmin.exe' 'list providers')
}

function New-Archive($Session, [string]$Path) {
    # Returns the list of its entries.
    $wanted = 'session\.log|shadow\.txt|writers\.cab|diskshadow\.(log|out|err)'
    if ($CollectOutput -ceq 'true') { $wanted = "$wanted|(before|after|complete|session)\.(out|err)" }
    Add-Type -AssemblyName 'System.IO.Compression'
    $stream = [IO.File]::Open($Path, 'CreateNew', 'Write', 'None')
    try {
        $archive = New-Object IO.Compression.ZipArchive $stream, 'Create'
        try {
            $manifest = Join-Path $Session.Run 'manifest.json'
            Add-Entry $archive 'manifest.json' (Read-Tail $manifest $MaxFileBytes)
            Add-Entry $archive 'state.json' (Read-Tail (Join-Path $Session.Folder 'state.json') $MaxFileBytes)
            foreach ($file in Get-ChildItem -LiteralPath $Session.Folder -File | Sort-Object -Property Name) {
                if ($file.Name -cmatch "\A($wanted)\z") {
                    Add-Entry $archive $file.Name (Read-Tail $file.FullName $MaxFileBytes)
                }
            }
            $since = (Get-Item -LiteralPath $manifest).LastWriteTimeUtc
            if ($null -ne $Session.State.shadow) { Add-Diagnosis $archive $since }
        } finally { $archive.Dispose() }
    } finally { $stream.Dispose() }
}

function Invoke-Collect($Session) {
    # Takes no lock, so that a thaw never waits for an upload.
    if ($Session.Doubt) { throw "IdentityUnknown: $($Session.Doubt)" }
    if ($UploadLink -ceq 'none') { throw 'InvalidParameter: UploadLink' }
    if (-not (Test-Path -LiteralPath $Session.Folder)) { throw "NotStaged: $RunId has no attempt $Attempt" }
    Update-State $Session
    $path = Get-DraftName (Join-Path $Session.Folder 'session.zip')
    try {
        $files = @(New-Archive $Session $path)
        [Net.ServicePointManager]::SecurityProtocol = 'Tls12'
        $null = Invoke-WebRequest -UseBasicParsing -Uri $UploadLink -Method Put -InFile $path -TimeoutSec 60
        [ordered]@{ files = $files; bytes = (Get-Item -LiteralPath $path).Length }
    } catch { throw "NotCollected: $($_.Exception.Message)" } finally {
        $null = Wait-Until 5 {
            try { [IO.File]::Delete($path); $true } catch [IO.IOException], [UnauthorizedAccessException] { $false }
        }
    }
}
