# ---- The verbs that look --------------------------------------------------------------------------------------------

function Invoke-Verb($Data) {
    if ($Verb -ceq 'inventory') { $Data['inventory'] = Invoke-Inventory; return }
    $session = Open-Session
    try { $Data['collected'] = Invoke-Collect $session } finally { $Data['session'] = $session.State }
}
