# ---- How a script is started ----------------------------------------------------------------------------------------

function Get-ScriptCall([string]$Path, [string]$Argument) {
    # The program that runs a script, and its arguments.
    switch -Regex ([IO.Path]::GetExtension($Path).ToLowerInvariant()) {
        '\A\.ps1\z' {
            return (Get-SystemFile 'WindowsPowerShell\v1.0\powershell.exe'), (Get-PowerShellArguments $Path $Argument)
        }
        '\A\.(cmd|bat)\z' { return (Get-SystemFile 'cmd.exe'), "/d /s /c `"`"$Path`" $Argument`"" }
        '\A\.vbs\z' {
            # Not in batch mode, which keeps errors and output to itself. The engine, where an editor has the extension.
            return (Get-SystemFile 'cscript.exe'), "//Nologo //E:VBScript `"$Path`" $Argument"
        }
    }
    $Path, $Argument
}
