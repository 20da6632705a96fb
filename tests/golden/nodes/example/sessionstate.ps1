#Requires -Version 5.1
# Session tables of the farm orchestrator-prod
# Made by nlbgen VERSION from the spec with digest 8f7ab3cf693d4028.
# Do not edit: change the spec and run `nlbgen render nodes` again.
<#
.SYNOPSIS
Creates ASP.NET's session tables in the Orchestrator database, once for the whole farm.

.DESCRIPTION
Run it on one node, as a user that may create tables there (Windows authentication). If the tables exist
already, the script changes nothing. -WhatIf only shows what the script would do.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [string] $Server = 'SQL01\PROD',
    [string] $Database = 'UiPath'
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$builder = New-Object Data.SqlClient.SqlConnectionStringBuilder
$builder['Data Source'] = $Server
$builder['Initial Catalog'] = $Database
$builder['Integrated Security'] = $true
$login = @('-E')

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
if (@($Server, $Database) -match '"') {
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
