# What the two scripts beside this one share: a belief prints one line, "held", or "NOT held" with what it saw instead.
$Folder = Join-Path $env:TEMP ('quiesce-' + [guid]::NewGuid())
$System = Join-Path $env:SystemRoot 'System32'
$script:notHeld = 0
$null = New-Item -ItemType Directory -Path $Folder

function Test-Belief([string]$Name, [string]$Expected, [scriptblock]$Observe) {
    try { $seen = [string](& $Observe) } catch { $seen = $_.Exception.GetBaseException().GetType().Name }
    if ($seen -ceq $Expected) { [Console]::Out.WriteLine("held      $Name`: $seen"); return }
    $script:notHeld++
    [Console]::Out.WriteLine("NOT held  $Name`: expected $Expected, saw $seen")
}

function Get-File([string]$Name, [string]$Text) {
    $file = Join-Path $Folder $Name
    [IO.File]::WriteAllText($file, $Text, [Text.Encoding]::ASCII)
    $file
}

function Get-Batch([string]$Name, [string[]]$Line) { Get-File $Name (($Line -join "`r`n") + "`r`n") }

function Start-It([string]$Program, [string]$Arguments) {
    $log = Join-Path $Folder ([guid]::NewGuid().ToString())
    $process = Start-Process -FilePath $Program -ArgumentList $Arguments -WorkingDirectory $Folder -PassThru `
        -RedirectStandardOutput "$log.out" -RedirectStandardError "$log.err"
    $null = $process.Handle
    $process
}

function Get-Script([string]$File, [string]$Arguments = '') {
    "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File `"$File`" $Arguments"
}

function Get-ExitCode([string]$Program, [string]$Arguments) {
    $process = Start-It $Program $Arguments
    if (-not $process.WaitForExit(60000)) { $process.Kill(); return 'still running after 60 s' }
    $process.ExitCode
}

function Wait-For([scriptblock]$Condition) {
    $clock = [Diagnostics.Stopwatch]::StartNew()
    while (-not (& $Condition)) {
        if ($clock.Elapsed.TotalSeconds -gt 15) { return $false }
        Start-Sleep -Milliseconds 100
    }
    $true
}

function Close-Beliefs {
    Remove-Item -LiteralPath $Folder -Recurse -Force -ErrorAction SilentlyContinue
    [Console]::Out.WriteLine("$script:notHeld not held; PowerShell $($PSVersionTable.PSVersion), Windows $([Environment]::OSVersion.Version)")
    exit [int]($script:notHeld -gt 0)
}
