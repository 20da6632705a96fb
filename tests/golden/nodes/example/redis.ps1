#Requires -Version 5.1
# Redis of the farm orchestrator-prod
# Made by nlbgen VERSION from the spec with digest 8f7ab3cf693d4028.
# Do not edit: change the spec and run `nlbgen render nodes` again.
<#
.SYNOPSIS
Installs Redis for Windows on this machine (redis-1.corp.example) for the farm orchestrator-prod.

.DESCRIPTION
Run it in an elevated PowerShell. The kit Redis-x64-3.0.504.msi is in the Resources folder of the scripts.zip that comes
with Orchestrator. If the service Redis exists already, the script installs nothing. -WhatIf only shows what the script
would do.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [string] $Kit = 'Redis-x64-3.0.504.msi',
    [int] $Port = 6379,
    # Redis has no password after the installation; the script sets this one, which the nodes send.
    [string] $RedisPassword = $env:NLBGEN_REDIS_PASSWORD
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

Write-Warning 'One Redis is a single point of failure: while it is down, the nodes do not pass messages on.'

$principal = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    throw 'This script needs an elevated PowerShell: right-click PowerShell, Run as administrator.'
}
if (-not $RedisPassword) { throw 'The password is missing: set $env:NLBGEN_REDIS_PASSWORD, or pass it as a parameter.' }
if ($RedisPassword -match '[\s"\\,]') { throw 'Choose a Redis password without spaces, quotes, backslashes and commas.' }

if ($null -ne (Get-Service -Name Redis -ErrorAction SilentlyContinue)) {
    Write-Host 'The service Redis is installed already.'
}
elseif ($PSCmdlet.ShouldProcess($Kit, 'install')) {
    if (-not (Test-Path -LiteralPath $Kit)) { throw "$Kit is missing: give -Kit." }
    $path = (Resolve-Path -LiteralPath $Kit).ProviderPath
    # From the guide: msiexec /q /norestart /i Redis-x64-3.0.504.msi PORT=6379 ADD_FIREWALL_RULE=1
    $arguments = @('/q', '/norestart', '/i', "`"$path`"", "PORT=$Port", 'ADD_FIREWALL_RULE=1')
    $process = Start-Process -FilePath 'msiexec.exe' -ArgumentList $arguments -Wait -PassThru
    if ($process.ExitCode -ne 0 -and $process.ExitCode -ne 3010) { throw "msiexec failed with exit code $($process.ExitCode)." }
}

$service = Get-WmiObject Win32_Service -Filter "Name='Redis'"
if ($null -ne $service -and $service.PathName -match '--service-run\s+"([^"]+)"') {
    $configuration = $Matches[1]
    $wanted = "requirepass $RedisPassword"
    $lines = @(Get-Content -LiteralPath $configuration)
    if ($lines -cnotcontains $wanted -and $PSCmdlet.ShouldProcess($configuration, 'set requirepass')) {
        $kept = @($lines | Where-Object { $_ -notmatch '^\s*requirepass\s' })
        Copy-Item -LiteralPath $configuration -Destination "$configuration.$(Get-Date -Format 'yyyyMMdd-HHmmss').bak"
        Set-Content -LiteralPath $configuration -Value ($kept + $wanted) -Encoding ASCII
        Restart-Service -Name Redis
    }
}
elseif ($null -ne $service) {
    Write-Warning 'The configuration file of the service was not found: add requirepass to it by hand.'
}

if (-not $WhatIfPreference) {
    Start-Service -Name Redis
    $client = New-Object Net.Sockets.TcpClient
    try { $client.Connect('127.0.0.1', $Port) } finally { $client.Close() }
    Write-Host "Redis listens on port $Port. Check from every node: Test-NetConnection redis-1.corp.example -Port $Port"
}
