# quiesce looks at a server. Written for Windows PowerShell 5.1, run as SYSTEM, ASCII only.
#
# AWS sends one of these verbs through Systems Manager; none changes anything on the server:
#   inventory  reports the server's Windows and the disks that its drives are on
#   examine    reports that, and all else that decides how the server can be backed up
#   collect    sends the files of a session to the bucket
# The answer is one line of JSON on stdout and exit code 0 or 1.
# docs/operate/guest.md has the states, files, tasks and rights on one page.
[CmdletBinding()]
param(
    [string]$Verb = '',
    [string]$RunId = '',
    [string]$Attempt = '1',                      # collect
    [string]$InstanceId = 'none',                # inventory, examine: the target server
    [string]$WritersOf = 'none',                 # inventory: owner/policy, to send its files of writers
    [string]$Writers = 'false',                  # inventory: list the VSS writers
    [string]$Cluster = 'false',                  # inventory: say which cluster it is a node of
    [string]$UploadLink = 'none',                # collect: presigned link for one object
    [string]$CollectOutput = 'false'             # collect: send the scripts' output, too
)
