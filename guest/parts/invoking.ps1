# ---- Programs that are run to their end -----------------------------------------------------------------------------

function Get-PowerShellArguments([string]$File, [string]$Rest) {
    "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File `"$File`" $Rest"
}

function Copy-Streams($Process, [string]$Output, [string]$Errors) {
    # Copies what a program prints as it comes, to files, or to nowhere: else it would stop at a full pipe.
    foreach ($pair in @($Process.StandardOutput, $Output), @($Process.StandardError, $Errors)) {
        $stream, $target = $pair[0].BaseStream, [IO.Stream]::Null
        try { if ($pair[1]) { $target = New-Object IO.FileStream $pair[1], 'Create', 'Write', 'ReadWrite, Delete', 1 } }
        catch [IO.IOException], [UnauthorizedAccessException] { [Console]::Error.WriteLine($_.Exception.Message) }
        @{ Stream = $stream; Copying = $stream.CopyToAsync($target) }
    }
}

function Invoke-SystemProgram([string]$Name, [string]$Arguments, [int]$Seconds) {
    # Returns the exit code, or words if it had to be ended; its output is in the server's language, so it is dropped.
    $process = Start-Program (Get-SystemFile $Name) $Arguments ''
    $null = Copy-Streams $process '' ''
    if ($process.WaitForExit($Seconds * 1000)) { return $process.ExitCode }
    $process.Kill()
    "nothing within $Seconds s"
}
