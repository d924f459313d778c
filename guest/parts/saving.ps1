# ---- The session's state --------------------------------------------------------------------------------------------

function Save-State($Session) {
    # Replaces the file, so that a reader never sees half of it. $false if it cannot be written, as on a full disk.
    $file = Join-Path $Session.Folder 'state.json'
    $saved = Wait-Until 1 {
        try {
            Write-Through "$file.new" (ConvertTo-Line $Session.State)
            if (Test-Path -LiteralPath $file) { [IO.File]::Replace("$file.new", $file, "$file.old") }
            else { [IO.File]::Move("$file.new", $file) }
            $true
        } catch [IO.IOException], [UnauthorizedAccessException] { $false }
    }
    $Session.Unsaved = -not $saved
    $saved
}

function Set-Phase($Session, [string]$Phase) {
    if (Test-Reached $Session $Phase) { return }
    $Session.State.phase = $Phase
    $null = Save-State $Session
}
