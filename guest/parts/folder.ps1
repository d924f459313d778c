# ---- The folder of all runs -----------------------------------------------------------------------------------------

function Initialize-Root {
    # Created under another name, and moved into place once only SYSTEM and Administrators can write to it.
    $root = Get-Root
    if (-not (Test-Path -LiteralPath $root)) {
        $draft = Get-DraftName $root
        $null = New-Item -ItemType Directory -Path $draft
        Set-Rights $draft $OnlyOurs
        if (@(Get-ChildItem -LiteralPath $draft -Force).Count -gt 0) { throw "FolderNotTrusted: $draft was not empty" }
        $null = Move-Once $draft $root
    } elseif ((Test-Ours $root) -and -not (Test-Closed $root)) { Approve-Root $root }
    Assert-Trusted $root
    foreach ($name in 'runs', 'scripts') { $null = [IO.Directory]::CreateDirectory((Join-Path $root $name)) }
}

function Approve-Root([string]$Root) {
    # Takes over a folder that an administrator made for the scripts before the first run. As long as the mark is in it,
    # nothing in it is run: a user may have put something in between the first look and the end of his rights.
    Assert-AllOurs $Root
    Write-Through (Join-Path $Root 'adopting') ''
    Set-Rights $Root $OnlyOurs
    foreach ($entry in Get-ChildItem -LiteralPath $Root -Force) { Set-Rights $entry.FullName '/reset /t' }
    Assert-AllOurs $Root
    Remove-Item -LiteralPath (Join-Path $Root 'adopting') -Force
}

function Assert-AllOurs([string]$Folder) {
    # Looks at a folder before it looks into it, so that it never follows a link.
    if (-not (Test-Ours $Folder)) {
        throw "FolderNotTrusted: $Folder is a link, or another's: move the scripts out first"
    }
    if (-not (Test-Path -LiteralPath $Folder -PathType Container)) { return }
    foreach ($entry in Get-ChildItem -LiteralPath $Folder -Force) { Assert-AllOurs $entry.FullName }
}

# For icacls: by SID, because names are localised.
$OnlyOurs = '/inheritance:r /grant:r *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F'

function Set-Rights([string]$Path, [string]$Rights) {
    $code = Invoke-SystemProgram 'icacls.exe' "`"$Path`" $Rights" 120
    if ($code -ne 0) { throw "FolderNotTrusted: icacls ended with $code for $Path" }
}
