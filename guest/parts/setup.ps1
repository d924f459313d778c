Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
if ($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') {
    '{"quiesce":1,"ok":false,"error":"LanguageMode: PowerShell is constrained for SYSTEM on this server"}'
    exit 1
}
$Stages = 'before', 'after', 'complete', 'session'
$Phases = 'created', 'before', 'frozen', 'after', 'thawed', 'complete', 'ended'
$MaxFileBytes = 10MB
