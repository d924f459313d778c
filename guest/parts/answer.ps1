# ---- The answer -----------------------------------------------------------------------------------------------------

function Compress-Text([string]$Text) {
    # The agent cuts an answer at 24,000 characters: compressed, that of 64 volumes fits.
    $bytes = [Text.Encoding]::ASCII.GetBytes($Text)
    $memory = New-Object IO.MemoryStream
    $zip = New-Object IO.Compression.GZipStream $memory, ([IO.Compression.CompressionMode]::Compress)
    try { $zip.Write($bytes, 0, $bytes.Length) } finally { $zip.Dispose() }
    [Convert]::ToBase64String($memory.ToArray())
}

$data = [ordered]@{}
$answer = [ordered]@{ quiesce = 1; verb = $Verb; run = $RunId; attempt = $Attempt; ok = $false; error = ''; data = '' }
try {
    $null = Invoke-Verb $data
    $answer['ok'] = $true
} catch {
    $answer['error'] = "$($_.Exception.Message)"
}
$answer['data'] = Compress-Text (ConvertTo-Line $data)
[Console]::Out.WriteLine((ConvertTo-Line $answer))
if ($answer['ok']) { exit 0 } else { exit 1 }
