#Requires -Version 5.1
# Session tables of the farm farm--x
# Made by nlbgen VERSION from the spec with digest 7f7bd0b50835556b.
# Do not edit: change the spec and run `nlbgen render nodes` again.
<#
.SYNOPSIS
Creates ASP.NET's session tables in the Orchestrator database, once for the whole farm.

.DESCRIPTION
Run it on one node, as a user that may create tables there. If the tables exist
already, the script changes nothing. -WhatIf only shows what the script would do.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [string] $Server = 'SQL''01\PROD',
    [string] $Database = 'Ui]Pa''th',
    [string] $User = 'o''brien',
    [string] $Password = $env:NLBGEN_TEST_SQL
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$builder = New-Object Data.SqlClient.SqlConnectionStringBuilder
$builder['Data Source'] = $Server
$builder['Initial Catalog'] = $Database
if (-not $Password) { throw 'The password is missing: set $env:NLBGEN_TEST_SQL, or pass it as a parameter.' }
$builder['User ID'] = $User
$builder['Password'] = $Password
# aspnet_regsql takes the password only on its command line: administrators of this machine can see it during the run.
$login = @('-U', $User, '-P', $Password)

function Get-MissingTable {
    $connection = New-Object Data.SqlClient.SqlConnection($builder.ConnectionString)
    $connection.Open()
    try {
        foreach ($table in 'ASPStateTempApplications', 'ASPStateTempSessions') {
            $command = $connection.CreateCommand()
            $command.CommandText = 'SELECT OBJECT_ID(@name)'
            [void] $command.Parameters.AddWithValue('@name', "[dbo].[$table]")
            if ($command.ExecuteScalar() -is [DBNull]) { "[dbo].[$table]" }
        }
    }
    finally { $connection.Close() }
}

if (@(Get-MissingTable).Count -eq 0) {
    Write-Host "The session tables exist already in $Database on $Server."
    return
}
if (@($Server, $Database, $User, $Password) -match '"') {
    throw 'PowerShell 5.1 cannot pass a double quote to aspnet_regsql: run aspnet_regsql by hand in a command prompt.'
}
$tool = Join-Path $env:windir 'Microsoft.NET\Framework64\v4.0.30319\aspnet_regsql.exe'
if (-not (Test-Path -LiteralPath $tool)) { throw "$tool is missing: this machine has no .NET Framework 4." }
if ($PSCmdlet.ShouldProcess("$Database on $Server", 'create the session tables')) {
    & $tool -S $Server -d $Database -ssadd -sstype c @login
    if ($LASTEXITCODE -ne 0) { throw "aspnet_regsql failed with exit code $LASTEXITCODE." }
    $missing = @(Get-MissingTable)
    if ($missing.Count -gt 0) { throw "Still missing: $($missing -join ', ')." }
    Write-Host "The session tables exist in $Database on $Server."
}
