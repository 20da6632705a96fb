#Requires -Version 5.1
#Requires -PSEdition Desktop
# Session tables of the farm farm--x
# Made by nlbgen VERSION from the spec with digest 7b7f2cbc533f8f0a.
# Do not edit: change the spec and run `nlbgen render nodes` again.
<#
.SYNOPSIS
Creates ASP.NET's session tables in the Orchestrator database, once for the whole farm.

.DESCRIPTION
Run it on one node, as a user that may create tables there, and jobs of SQL Server
Agent in msdb. If the tables exist already, the script changes nothing. -WhatIf only shows what the script would do.

aspnet_regsql also creates the job Ui]Pa'th_Job_DeleteExpiredSessions, which deletes expired sessions every minute. SQL Server
Express has no Agent. In an availability group the job exists only on the replica on which it was created.
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

function ConvertTo-SqlValue {
    # aspnet_regsql writes its arguments into a connection string as they are: quote them for it.
    param([string] $Text)
    if ($Text -match '^[^"''=;\s\p{Cc}/-][^"''=;\s\p{Cc}]*$') { return $Text }
    if ($Text.Contains('"') -and -not $Text.Contains("'")) { return "'" + $Text + "'" }
    return '"' + $Text.Replace('"', '""') + '"'
}

function ConvertTo-Argument {
    # By the rules of CommandLineToArgvW: PowerShell 5.1 itself loses quotes and --%.
    param([string] $Text)
    if ($Text -match '^[^\s"]+$') { return $Text }
    $escaped = [regex]::Replace($Text, '(\\*)"', '$1$1\"')
    return '"' + [regex]::Replace($escaped, '(\\+)$', '$1$1') + '"'
}

function Get-Row {
    # The first value of a query.
    param([string] $Query, [string] $Name)
    $connection = New-Object Data.SqlClient.SqlConnection($builder.ConnectionString)
    $connection.Open()
    try {
        $command = $connection.CreateCommand()
        $command.CommandText = $Query
        [void] $command.Parameters.AddWithValue('@name', $Name)
        return $command.ExecuteScalar()
    }
    finally { $connection.Close() }
}

function Get-MissingTable {
    foreach ($table in 'ASPStateTempApplications', 'ASPStateTempSessions') {
        if ((Get-Row 'SELECT OBJECT_ID(@name)' "[dbo].[$table]") -is [DBNull]) { "[dbo].[$table]" }
    }
}

function Write-JobState {
    # Expired sessions stay in the table where the job does not run.
    $job = "${Database}_Job_DeleteExpiredSessions"
    $instead = "Without the job, run this every minute by another scheduler: EXECUTE [$($Database.Replace(']', ']]'))].dbo.DeleteExpiredSessions"
    try {
        if ((Get-Row "SELECT CONVERT(int, SERVERPROPERTY('EngineEdition'))" '') -eq 4) {
            Write-Warning "This is SQL Server Express, which has no SQL Server Agent. $instead"
            return
        }
        if ((Get-Row "SELECT COUNT(*) FROM msdb.dbo.sysjobs WHERE name = @name AND enabled = 1" $job) -eq 0) {
            Write-Warning "SQL Server Agent has no enabled job $job. $instead"
            return
        }
        Write-Host "The job $job exists. It runs only while SQL Server Agent runs."
        if ((Get-Row "SELECT CONVERT(int, SERVERPROPERTY('IsHadrEnabled'))" '') -eq 1) {
            Write-Warning "Availability groups are enabled: create the job $job on every other replica too, for example by a script of it from Management Studio."
        }
    }
    catch { Write-Warning "The job $job could not be checked: $($_.Exception.GetBaseException().Message) Ask the administrator of the database." }
}

if (@(Get-MissingTable).Count -eq 0) {
    Write-Host "The session tables exist already in $Database on $Server."
    Write-JobState
    return
}
$tool = Join-Path $env:windir 'Microsoft.NET\Framework64\v4.0.30319\aspnet_regsql.exe'
if (-not (Test-Path -LiteralPath $tool)) { throw "$tool is missing: this machine has no .NET Framework 4." }
if ($Database -match "['\[\]]") { throw "aspnet_regsql refuses a database name with a quote or a bracket: $Database" }
# aspnet_regsql takes the password only on its command line: administrators of this machine can see it during the run.
$login = @('-U', (ConvertTo-SqlValue $User), '-P', (ConvertTo-SqlValue $Password))
if ((Get-Row "SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CREATE TABLE')" '') -eq 0) { throw "This login may not create tables in $Database`: run the script as a user that may." }
if ($PSCmdlet.ShouldProcess("$Database on $Server", 'create the session tables, and the job that deletes expired sessions')) {
    $words = @('-S', (ConvertTo-SqlValue $Server), '-d', $Database, '-ssadd', '-sstype', 'c') + $login
    $start = New-Object Diagnostics.ProcessStartInfo($tool)
    $start.Arguments = ($words | ForEach-Object { ConvertTo-Argument $_ }) -join ' '
    $start.UseShellExecute = $false
    $process = [Diagnostics.Process]::Start($start)
    $process.WaitForExit()
    $missing = @(Get-MissingTable)
    if ($process.ExitCode -ne 0) {
        $left = 'The tables exist.'
        if ($missing.Count -gt 0) { $left = "Still missing: $($missing -join ', ')." }
        throw "aspnet_regsql failed with exit code $($process.ExitCode). $left It needs rights in $Database and in msdb, where it creates the job."
    }
    if ($missing.Count -gt 0) { throw "Still missing: $($missing -join ', ')." }
    Write-Host "The session tables exist in $Database on $Server."
    Write-JobState
}
