# ---- What Windows PowerShell would do with a script -----------------------------------------------------------------

function Test-Scripts($Paths, [string]$Folder) {
    # Refuses scripts that would leave an application frozen; returns for each what cannot be told.
    $unsure = [ordered]@{ before = ''; after = ''; complete = ''; session = '' }
    $failing = @()
    # The agent's own variables are as old as its start, those of a task are not.
    $env:PSModulePath += [IO.Path]::PathSeparator + [Environment]::GetEnvironmentVariable('PSModulePath', 'Machine')
    foreach ($stage in $Stages) {
        $path = $Paths[$stage]
        if ($Scripts -ceq 'bucket') { $path = Join-Path $Folder $path }
        if ([IO.Path]::GetExtension($path).ToLowerInvariant() -cne '.ps1') { continue }
        $why = ''
        $arguments = if ('before', 'session' -ccontains $stage) { , '' } else { '1', '0' }
        try { $why, $unsure[$stage] = Test-Script $path $arguments } catch { $unsure[$stage] = $_.Exception.Message }
        if ($why) { $failing += "${stage}: $why" }
    }
    if ($failing.Count -gt 0) { throw "ScriptNotRunnable: $($failing -join '; ')" }
    $unsure
}

function Test-Script([string]$Path, [string[]]$Arguments) {
    # Why Windows PowerShell would end a script before its first line, else what cannot be told without running it.
    # ParseFile takes the file's encoding as -File does.
    $tokens = $errors = $null
    $script = [Management.Automation.Language.Parser]::ParseFile($Path, [ref]$tokens, [ref]$errors)
    foreach ($found in $errors) { return "line $($found.Extent.StartLineNumber): $($found.Message)", '' }
    $needs = $script.ScriptRequirements
    $lacking = @(Get-Lacking $needs)
    if ($lacking.Count -gt 0) { return "#Requires $($lacking -join ', ')", '' }
    $code = '', 'its parameters run code'
    if ($null -ne $script.DynamicParamBlock) { return $code }
    if ($null -eq $script.ParamBlock) { return '', '' }
    $parameters = Get-BareParameters $script.ParamBlock
    $isCode = { $args[0] -is [Management.Automation.Language.ScriptBlockExpressionAst] }
    if ($null -ne $parameters.Ast.Find($isCode, $true)) { return $code }
    $why = ''
    foreach ($argument in $Arguments) { if (-not $why) { $why = Test-Call $parameters $argument } }
    # A script that loads or defines types itself may have types that are not known here.
    $isType = { $args[0] -is [Management.Automation.Language.TypeDefinitionAst] }
    $own = ($null -ne $needs) -or $script.UsingStatements -or ($null -ne $script.Find($isType, $true))
    if ($own) { '', $why } else { $why, '' }
}

function Get-Lacking($Requirements) {
    # What #Requires asks for and this server does not have, as Windows PowerShell compares it. SYSTEM is elevated.
    if ($null -eq $Requirements) { return }
    $version = $Requirements.RequiredPSVersion
    $same = @($PSVersionTable.PSCompatibleVersions | Where-Object {
        ($null -eq $version) -or (($_.Major -eq $version.Major) -and ($_.Minor -ge $version.Minor)) })
    if ($same.Count -eq 0) { "PowerShell $version" }
    $editions = @($Requirements.RequiredPSEditions | Where-Object { $_ })
    if (($editions.Count -gt 0) -and ($editions -notcontains $PSVersionTable['PSEdition'])) { "PSEdition $editions" }
    $shell = $Requirements.RequiredApplicationId
    if ($shell -and ($shell -ne $ShellId)) { "ShellId $shell" }
    foreach ($module in $Requirements.RequiredModules) {
        $known = @(Get-Module -ListAvailable -FullyQualifiedName $module -ErrorAction SilentlyContinue)
        if ($known.Count -eq 0) { "module $($module.Name)" }
    }
}

function Get-BareParameters($Block) {
    # A script's parameters without its code: of the defaults only constants stay.
    $parameters = foreach ($parameter in $Block.Parameters) {
        $text = "$($parameter.Attributes | ForEach-Object { $_.Extent.Text }) $($parameter.Name.Extent.Text)"
        $default = $parameter.DefaultValue
        if ($default -is [Management.Automation.Language.ConstantExpressionAst]) { $text += "=$($default.Extent.Text)" }
        $text
    }
    [scriptblock]::Create("$($Block.Attributes | ForEach-Object { $_.Extent.Text }) param($($parameters -join ','))")
}

function Test-Call([scriptblock]$Parameters, [string]$Argument) {
    # Windows' own words if it does not take the argument, or asks for another one: it would prompt, and SYSTEM has no
    # console to answer at.
    try { $null = if ($Argument) { & $Parameters $Argument } else { & $Parameters } }
    catch { return "called with '$Argument': $($_.Exception.Message)" }
    ''
}
