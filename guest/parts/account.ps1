# ---- Another account than SYSTEM for the customer's scripts ---------------------------------------------------------

# Task Scheduler starts account.ps1 under the account, and that the customer's script. The account can read what is in
# the attempt's folder `account`, and write into the files of `said`, which are there before. It can make and replace no
# file, so SYSTEM never runs, reads or writes one that it has put there.

function Get-Account($Session) {
    # '' for SYSTEM. Programs of Windows know a local account by the server's name, not by ".".
    $file = Join-Path $Session.Folder 'account.txt'
    if (-not (Test-Path -LiteralPath $file)) { return '' }
    (Read-Text $file).Replace('.\', "$env:COMPUTERNAME\")
}

function Get-AccountFile($Session, [string]$Name) { Join-Path (Join-Path $Session.Folder 'account') $Name }

function Get-SaidFile($Session, [string]$Name) { Join-Path (Get-AccountFile $Session 'said') $Name }

function Wait-Begun($Session, [string]$Account, [string]$Stage) {
    # The account's process, which waits for a go with its number. The number is the account's word: what is done with
    # it is done to processes of that account alone (Stop-Tree).
    $found = @{ Process = $null }
    $said = Get-SaidFile $Session "$Stage.begun"
    $null = Wait-Until 20 {
        $number = Read-Field $said
        if ($number -cmatch '\A[1-9][0-9]{0,8}\z') {
            $found.Process = Get-Process -Id $number -ErrorAction SilentlyContinue
        }
        $null -ne $found.Process
    } 50
    if ($null -ne $found.Process) { return $found.Process }
    throw ("the task of $Account has not begun within 20 s: give it the right 'Log on as a batch job', see that it " +
        'is enabled and may run PowerShell; event 101 of Task Scheduler has the reason')
}

function Write-Order($Session, [string]$Stage, [string]$Path, [string]$Argument, [int]$Go) {
    $order = [ordered]@{ stage = $Stage; script = [IO.Path]::GetFileName($Path); argument = $Argument; go = $Go }
    Write-Field (Get-AccountFile $Session 'order') (ConvertTo-Line $order)
}

function Write-Field([string]$Path, [string]$Text) {
    # Always as long, over what is there: a full disk takes that, too.
    $bytes = [Text.Encoding]::ASCII.GetBytes($Text + (' ' * (1000 - $Text.Length)))
    $stream = [IO.File]::Open($Path, 'OpenOrCreate', 'Write', 'ReadWrite')
    try {
        $stream.Write($bytes, 0, $bytes.Length)
        $stream.Flush($true)
    } finally { $stream.Dispose() }
}

function Read-Field([string]$Path) { (Read-Text $Path) -creplace '\s+\z' }
