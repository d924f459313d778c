# ---- A server that was launched from a recovery point of another one ------------------------------------------------

function Close-Clone($Session, [string]$Own) {
    # The session that the snapshots found open is the other server's: here it ends, and its tasks go. No script runs,
    # because beside the other server after may register the application a second time; AWS may ask for it. No shadow
    # copy is deleted: somebody may want to go back to it.
    $state = $Session.State
    if ($state.phase -cne 'ended') {
        Write-Log $Session "this is $Own, not $($state.instance): the session, which was $($state.phase), ends here"
        $cloned = [ordered]@{ instance = $Own; phase = $state.phase }
        $state | Add-Member -NotePropertyName 'cloned' -NotePropertyValue $cloned -Force
        $state.endedMs = Get-Milliseconds
        $state.phase = 'ended'
        if (-not (Save-State $Session)) { throw "StateNotWritten: the session is still $($cloned.phase)" }
    }
    Remove-Tasks $RunId $Attempt
}

function Test-AfterOwed($Session) {
    # Whether before has succeeded, and after has not begun. What a session script held, it does not hold here.
    ($null -ne $Session.State.before) -and $Session.State.before.succeeded -and ($null -eq $Session.State.after) -and
        -not (Test-Holds $Session 'after')
}
