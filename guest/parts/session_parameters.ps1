# quiesce's session on a server. Written for Windows PowerShell 5.1, run as SYSTEM, ASCII only.
#
# Two scheduled tasks start it, which thaw and complete even if no verb comes any more:
#   session    the session runner: runs the scripts in their order and watches the deadlines
#   watchdog   continues a session whose runner is dead or hangs, at the deadlines and at boot; ends it on a clone
# docs/operate/guest.md has the states, files, tasks and rights on one page.
[CmdletBinding()]
param(
    [string]$Verb = '',                          # session | watchdog | recovered; thaw | complete where no task comes
    [string]$RunId = '',
    [string]$Attempt = '1'
)
