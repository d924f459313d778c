# ---- Files and folders that are made --------------------------------------------------------------------------------

function Move-Once([string]$Draft, [string]$Target) {
    # The file or folder appears whole or not at all. $true for the first caller; a later one uses the first one's.
    # Retried, because a virus scanner that reads the draft prevents the move for a moment.
    $null = Wait-Until 5 {
        if (Test-Path -LiteralPath $Target) { return $true }
        try {
            if (Test-Path -LiteralPath $Draft -PathType Leaf) { [IO.File]::Move($Draft, $Target) }
            else { [IO.Directory]::Move($Draft, $Target) }
            $true
        } catch [IO.IOException], [UnauthorizedAccessException] { $false }
    }
    if (-not (Test-Path -LiteralPath $Draft)) { return $true }
    Remove-Item -LiteralPath $Draft -Recurse -Force
    if (-not (Test-Path -LiteralPath $Target)) { throw "NotMade: $Target" }
    $false
}

function Write-Through([string]$Path, [string]$Text) {
    # Down to the disk: without it a hard stop leaves the file's name and length, and zeros in it.
    $bytes = [Text.Encoding]::ASCII.GetBytes($Text)
    $stream = [IO.File]::Open($Path, 'Create', 'Write', 'None')
    try {
        $stream.Write($bytes, 0, $bytes.Length)
        $stream.Flush($true)
    } finally { $stream.Dispose() }
}

function New-Flag([string]$Path, [string]$Text) {
    if (Test-Path -LiteralPath $Path) { return $false }
    $draft = Get-DraftName $Path
    Write-Through $draft $Text
    Move-Once $draft $Path
}

function Set-Word([string]$Path, [string]$Text) {
    # Why a flag cannot be left, as on a full disk; '' if it is there.
    try { $null = New-Flag $Path $Text; '' }
    catch [IO.IOException], [UnauthorizedAccessException] { $_.Exception.Message }
}

function Open-Lock([string]$Path) {
    # A file opened without sharing: Windows frees it when its holder dies. $null while another process holds it.
    try { [IO.File]::Open($Path, 'OpenOrCreate', 'ReadWrite', 'None') }
    catch [IO.IOException], [UnauthorizedAccessException] { $null }
}

function Wait-Lock([string]$Path, [double]$Seconds) {
    $held = @{ Lock = $null }
    if (-not (Wait-Until $Seconds { $held.Lock = Open-Lock $Path; $null -ne $held.Lock })) { throw "Busy: $Path" }
    $held.Lock
}
