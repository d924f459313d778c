# ---- Text, time, waiting --------------------------------------------------------------------------------------------

function Get-Milliseconds {
    # Since 1970, UTC. Numbers, because PowerShell versions disagree about dates in JSON.
    [long][math]::Floor(([datetime]::UtcNow.Ticks - 621355968000000000) / 10000)
}

function Format-Time([datetime]$Time, [string]$Form) {
    $Time.ToString($Form, [Globalization.CultureInfo]::InvariantCulture)
}

function ConvertTo-Line($Value) {
    # ASCII only: the code page between the agent and us is unknown.
    $json = ConvertTo-Json -InputObject $Value -Compress -Depth 8
    [regex]::Replace($json, '[^\x20-\x7e]', { param($match) '\u{0:x4}' -f [int][char]$match.Value })
}

function Open-Shared([string]$Path) {
    # Shares everything, so that the writer can replace the file meanwhile.
    [IO.File]::Open($Path, 'Open', 'Read', 'ReadWrite, Delete')
}

function Read-Text([string]$Path) {
    $stream = Open-Shared $Path
    try { (New-Object IO.StreamReader $stream).ReadToEnd() } finally { $stream.Dispose() }
}

function Read-Tail([string]$Path, [int]$MaxBytes) {
    # The end of a file that another process may be writing or replacing.
    $tail = @{ Bytes = @(); Mark = 'unreadable-' }
    $null = Wait-Until 3 {
        try { $stream = Open-Shared $Path } catch [IO.IOException], [UnauthorizedAccessException] { return $false }
        try {
            $tail.Mark = if ($stream.Length -gt $MaxBytes) { 'cut-' } else { '' }
            if ($tail.Mark) { $stream.Position = $stream.Length - $MaxBytes }
            $tail.Bytes = (New-Object IO.BinaryReader $stream).ReadBytes($MaxBytes)
        } finally { $stream.Dispose() }
        $true
    }
    $tail
}

function Read-Fact([string]$Name, [scriptblock]$Read) {
    # $null where Windows does not answer; the reason goes to the command's stderr.
    try { & $Read } catch { [Console]::Error.WriteLine("${Name}: $($_.Exception.Message)"); $null }
}

function Wait-Until([double]$Seconds, [scriptblock]$Condition, [int]$EveryMs = 200) {
    # A stopwatch, not the clock: the clock may be set back while an application is frozen.
    $elapsed = [Diagnostics.Stopwatch]::StartNew()
    while (-not (& $Condition)) {
        if ($elapsed.Elapsed.TotalSeconds -ge $Seconds) { return $false }
        Start-Sleep -Milliseconds $EveryMs
    }
    $true
}

function Get-DraftName([string]$Path) { "$Path.$([guid]::NewGuid())" }
