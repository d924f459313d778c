# ---- The verbs that look --------------------------------------------------------------------------------------------

function Invoke-Verb($Data) {
    if ($Verb -ceq 'examine') { $Data['examined'] = Invoke-Examine }
    if ($Verb -cne 'collect') { $Data['inventory'] = Invoke-Inventory; return }
    $session = Open-Session
    try { $Data['collected'] = Invoke-Collect $session } finally { $Data['session'] = $session.State }
}
