# quiesce mends a server. Written for Windows PowerShell 5.1, run as SYSTEM, ASCII only.
#
# AWS sends one verb through Systems Manager:
#   set   changes one setting of Windows from one value to another, and nothing if it has neither
# The answer is one line of JSON on stdout and exit code 0 or 1.
[CmdletBinding()]
param(
    [string]$Verb = '',
    [string]$RunId = '',
    [string]$Attempt = '1',
    [string]$InstanceId = 'none',                # this server
    [string]$Setting = '',                       # StartMode | State | MaxSpace, as CIM calls it
    [string]$Subject = '',                       # a service's name, or the GUID of a volume
    [string]$From = '',
    [string]$To = ''
)
