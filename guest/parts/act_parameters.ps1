# quiesce acts on a server. Written for Windows PowerShell 5.1, run as SYSTEM, ASCII only.
#
# AWS sends one of these verbs through Systems Manager:
#   stage      saves what the sessions of a run need in the run's folder
#   freeze     starts the session of one attempt, answers when the application is frozen
#   thaw       has the after script run, answers when it has ended
#   complete   has the complete script run, answers when the session has ended
#   recovered  on a server launched from the run's recovery point: ends what the snapshots found open, and tells of it
# The session's own script, quiesce.ps1, comes with the run's package: it runs the scripts and watches the deadlines.
# Each answer is one line of JSON on stdout and exit code 0 or 1, never that of a script: 3010 would reboot the server.
# docs/operate/guest.md has the states, files, tasks and rights on one page.
[CmdletBinding()]
param(
    [string]$Verb = '',
    [string]$RunId = '',
    [string]$Attempt = '1',
    [string]$InstanceId = 'none',                # stage, recovered: this server
    [string]$Policy = 'none',                    # stage, from here to SessionLimitSeconds
    [string]$Owner = 'none',                     # whose folder of scripts on the server
    [string]$Scripts = 'off',                    # off | bucket | server
    [string]$PackageLink = 'none',               # one object
    [string]$PackageHash = 'none',               # its SHA-256
    [string]$BeforeTimeoutSeconds = '60',
    [string]$CreateTimeoutSeconds = '180',       # of DiskShadow
    [string]$AfterTimeoutSeconds = '60',
    [string]$CompleteTimeoutSeconds = '300',
    [string]$FreezeLimitSeconds = '120',         # from the end of the before script
    [string]$SessionLimitSeconds = '100800',     # from the start of the session
    [string]$AbortShadowCopies = 'false',        # thaw: another attempt will follow
    [string]$Succeeded = 'false',                # complete: whether the whole backup succeeded in AWS
    [string]$Nonce = 'none',                     # complete with Succeeded: the one that stage answered
    [string]$ThawAfterRecovery = 'false',        # recovered: whether after runs, where the snapshots found it owed
    [string]$WaitSeconds = '60',                 # all but stage: how long to wait for the answer
    [string]$LogBytes = '0'                      # freeze, thaw, complete: how much of DiskShadow's log to answer
)
