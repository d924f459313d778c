# ---- The verbs that act ---------------------------------------------------------------------------------------------

function Invoke-Verb($Data) {
    if ($Verb -ceq 'stage') {
        $Data['staged'] = Invoke-Stage
        $Data['nonce'] = Read-Text (Join-Path (Get-RunFolder) 'nonce')
        return
    }
    if ($Verb -ceq 'recovered') { $Data['recovered'] = @(Invoke-Recovered); return }
    $word = if ($AbortShadowCopies -ceq 'true') { 'abort' } else { '' }
    if ($Verb -ceq 'thaw') { Set-ThawWord $word }
    $session = Open-Session
    try {
        switch -CaseSensitive ($Verb) {
            'freeze' { Invoke-Freeze $session }
            'thaw' { Invoke-Request $session 'thaw.flag' $word 'thawed' }
            'complete' {
                if ($session.Doubt) { throw "IdentityUnknown: $($session.Doubt)" }
                Assert-Nonce $session
                Invoke-Request $session 'complete.flag' $(if ($Succeeded -ceq 'true') { '1' } else { '0' }) 'ended'
            }
        }
    } finally {
        $Data['session'] = $session.State
        Add-ShadowLog $Data $session
    }
}

function Add-ShadowLog($Data, $Session) {
    # The end of DiskShadow's log, byte for byte as Latin-1. AWS says how much of it, because the agent cuts an answer.
    if (($null -eq $Session.State) -or ($null -eq $Session.State.shadow)) { return }
    $Data['diskShadowLog'] = $null
    $Data['diskShadowLogCut'] = $false
    $path = Get-Log $Session
    if (-not $path) { return }
    $tail = Read-Tail $path ([int]$LogBytes)
    if ($tail.Mark -ceq 'unreadable-') { return }
    $Data['diskShadowLog'] = [Text.Encoding]::GetEncoding(28591).GetString($tail.Bytes)
    $Data['diskShadowLogCut'] = [bool]$tail.Mark
}
