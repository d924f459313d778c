# ---- The account's task ---------------------------------------------------------------------------------------------

function Invoke-Prepare($Session, [string]$Account) {
    $order = Get-AccountFile $Session 'order'
    if (-not (Test-Path -LiteralPath $order)) {
        Add-AccountFiles $Session $Account
        Write-Field $order ''
    }
    Register-Account $Session $Account
}

function Add-AccountFiles($Session, [string]$Account) {
    # All that the scripts of the session need: after must not fail for want of disk.
    Assert-AccountUsable $Account
    $null = [IO.Directory]::CreateDirectory((Get-AccountFile $Session 'said'))
    Add-Rights (Join-Path $Session.Folder 'account') $Account '(OI)(CI)(RX)'
    Add-Rights (Get-AccountFile $Session 'said') $Account '(OI)(IO)(R,W)'
    foreach ($stage in 'before', 'after', 'complete') {
        foreach ($word in 'begun', 'end') { Write-Field (Get-SaidFile $Session "$stage.$word") '' }
        foreach ($stream in 'out', 'err') {
            [IO.File]::WriteAllText((Get-SaidFile $Session "$stage.$stream"), '', [Text.Encoding]::ASCII)
        }
    }
    foreach ($file in @(Join-Path $Session.Folder 'account.ps1') + @(Get-Scripts $Session)) {
        Copy-Item -LiteralPath $file -Destination (Get-AccountFile $Session ([IO.Path]::GetFileName($file)))
    }
}

function Get-Scripts($Session) {
    # None in a rehearsal, which has no manifest yet.
    $file = Join-Path (Join-Path $Session.Folder '..') 'manifest.json'
    if (-not (Test-Path -LiteralPath $file)) { return }
    $manifest = ConvertFrom-Json -InputObject (Read-Text $file)
    foreach ($stage in 'before', 'after', 'complete') {
        $path = $manifest.scripts.$stage
        if ($path -and ($manifest.source -ceq 'bucket')) { $path = Join-Path $Session.Folder $path }
        if ($path -and (Test-Path -LiteralPath $path -PathType Leaf)) { $path }
    }
}

function Assert-AccountUsable([string]$Account) {
    # Another account of a domain would have no network without its password: then it is no better than a local one.
    $domain = @($Account -csplit '\\')[0]
    if (($Account -cmatch '\$\z') -or ($domain -eq $env:COMPUTERNAME)) { return }
    throw "$Account is neither an account of this server, $env:COMPUTERNAME, nor a gMSA: name one of these in run_as"
}

function Add-Rights([string]$Folder, [string]$Account, [string]$Rights) {
    $code = Invoke-SystemProgram 'icacls.exe' "`"$Folder`" /grant `"${Account}:$Rights`"" 30
    if ($code -ne 0) { throw "$Account can not be given rights, icacls ended with ${code}: is there such an account?" }
}

function Register-Account($Session, [string]$Account) {
    # Without a password: S4U for a local account, and of a gMSA Windows has it. schtasks.exe would ask for one.
    # As high as the account goes: without it an administrator's scripts would have a user's rights.
    $logon = if ($Account -cmatch '\$\z') { 'Password' } else { 'S4U' }
    $lines = Get-TaskXml @{ Folder = Join-Path $Session.Folder 'account' } 'account.ps1' 'run' 'Parallel' @()
    $principal = "$Account</UserId><LogonType>$logon</LogonType>"
    $xml = ($lines -join "`r`n").Replace('S-1-5-18</UserId>', $principal)
    $name = (Get-TaskName 'account').Replace('\Quiesce\', '')
    try { $null = Register-ScheduledTask -TaskName $name -TaskPath '\Quiesce\' -Xml $xml -Force }
    catch { throw "$Account is not taken by Task Scheduler: $($_.Exception.Message)" }
}

function Invoke-Rehearsal($Session, [string]$Account) {
    try {
        Invoke-Prepare $Session $Account
        Write-Order $Session 'complete' '' '' 0
        Start-Task 'account'
        $process = Wait-Begun $Session $Account 'complete'
        Write-Order $Session 'complete' '' '' -1
        $null = $process.WaitForExit(20000)
    } finally {
        $null = Invoke-Schtasks 'delete' 'account' ' /f'
        $folder = Join-Path $Session.Folder 'account'
        if (Test-Path -LiteralPath $folder) { Remove-Item -LiteralPath $folder -Recurse -Force }
    }
}

function Invoke-Run {
    # Under the account, in its folder. Only the process that the runner names goes on.
    $folder = $PSScriptRoot
    $order = Read-Order $folder
    $said = Join-Path (Join-Path $folder 'said') $order.stage
    Write-Field "$said.begun" "$PID"
    $null = Wait-Until 30 { (Read-Order $folder).go -ne 0 } 50
    $order = Read-Order $folder
    if ($order.go -ne $PID) { return }
    try {
        $program, $arguments = Get-ScriptCall (Join-Path $folder $order.script) $order.argument
        $process = Start-Program $program $arguments $folder
    } catch {
        Write-Field "$said.end" (ConvertTo-Line "NotStarted: $($_.Exception.Message)")
        return
    }
    $copies = @(Copy-Streams $process "$said.out" "$said.err")
    while (-not (Wait-Program $process $copies 3600)) { }
    Wait-Output $copies
    Write-Field "$said.end" "$($process.ExitCode)"
}

function Read-Order([string]$Folder) {
    # The runner may be writing it.
    $read = @{ Order = $null }
    $null = Wait-Until 5 {
        try { $read.Order = ConvertFrom-Json -InputObject (Read-Field (Join-Path $Folder 'order')); $true }
        catch { $false }
    }
    $read.Order
}

if ($Verb -ceq 'run') { Invoke-Run; return }
$session = @{ Folder = $PSScriptRoot }
$why = ''
try {
    $account = Get-Account $session
    if ($Verb -ceq 'rehearsal') { Invoke-Rehearsal $session $account } else { Invoke-Prepare $session $account }
} catch { $why = $_.Exception.Message }
# As JSON, which is ASCII: Windows' words may be in any language.
[IO.File]::WriteAllText((Join-Path $PSScriptRoot 'account.why'), (ConvertTo-Line $why), [Text.Encoding]::ASCII)
