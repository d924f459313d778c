# ---- Programs whose output is copied --------------------------------------------------------------------------------

function Skip-Unwritten($Copies) {
    # What cannot be written, as on a full disk, is dropped: a program must not stop at a full pipe.
    foreach ($copy in $Copies) {
        if ($copy.Copying.IsFaulted) { $copy.Copying = $copy.Stream.CopyToAsync([IO.Stream]::Null) }
    }
}

function Wait-Program($Process, $Copies, [double]$Seconds) {
    # $false if it still runs.
    $elapsed = [Diagnostics.Stopwatch]::StartNew()
    while (-not $Process.WaitForExit(200)) {
        Skip-Unwritten $Copies
        if ($elapsed.Elapsed.TotalSeconds -ge $Seconds) { return $false }
    }
    $true
}

function Wait-Output($Copies) {
    # A process that a script has left behind may hold its output open for ever.
    $null = Wait-Until 1 { @($Copies | Where-Object { -not $_.Copying.IsCompleted }).Count -eq 0 }
}
