# quiesce's scripts under another account than SYSTEM. Written for Windows PowerShell 5.1, ASCII only.
#
# It comes with the packages of policies that name an account, and is started with one of these verbs:
#   rehearsal  by stage, as SYSTEM: the account's task begins once and runs nothing; says what is in the way
#   prepare    by the session's runner, as SYSTEM: folder, rights and task of the account
#   run        by Task Scheduler, as the account: starts the customer's script on the runner's word
# docs/operate/guest.md has the files, tasks and rights on one page.
[CmdletBinding()]
param(
    [string]$Verb = '',
    [string]$RunId = '',
    [string]$Attempt = '0'
)
