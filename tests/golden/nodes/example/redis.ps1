#Requires -Version 5.1
#Requires -PSEdition Desktop
# Redis of the farm orchestrator-prod
# Made by nlbgen VERSION from the spec with digest 8f7ab3cf693d4028.
# Do not edit: change the spec and run `nlbgen render nodes` again.
<#
.SYNOPSIS
Installs Redis for Windows on this machine (redis-1.corp.example) for the farm orchestrator-prod.

.DESCRIPTION
Run it in an elevated Windows PowerShell 5.1. The kit Redis-x64-3.0.504.msi is in the Resources folder of the scripts.zip
that comes with Orchestrator. If the service Redis exists already, the script installs nothing. -WhatIf only shows what
the script would do. At the end Redis itself must answer AUTH and PING.
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

# The servers of Redis to which the nodes connect.
$RedisServers = @(
    @{ Name = 'redis-1.corp.example:6379'; HostName = 'redis-1.corp.example'; Port = 6379 }
)

function Read-RedisLine {
    param([IO.Stream] $Stream)
    $line = ''
    while (($byte = $Stream.ReadByte()) -ge 0 -and $byte -ne 10) { $line += [char] $byte }
    return $line.Trim()
}

function Send-RedisCommand {
    # One command, and the first line of the answer. Lengths are in bytes of UTF-8, which StackExchange.Redis sends.
    param([IO.Stream] $Stream, [string[]] $Words)
    $request = "*$($Words.Count)`r`n"
    foreach ($word in $Words) { $request += '$' + [Text.Encoding]::UTF8.GetByteCount($word) + "`r`n" + $word + "`r`n" }
    $bytes = [Text.Encoding]::UTF8.GetBytes($request)
    $Stream.Write($bytes, 0, $bytes.Length)
    return Read-RedisLine $Stream
}

function Get-LoginProblem {
    # What is wrong with the answers to PING and AUTH; empty if nothing is.
    param([IO.Stream] $Stream, [string] $User, [string] $Password)
    $first = Send-RedisCommand $Stream @('PING')
    if (-not $Password) {
        if ($first -ceq '+PONG') { return '' }
        return "it answers PING with: $first"
    }
    if ($first -ceq '+PONG') { return 'it answers PING without a password' }
    $login = @('AUTH', $Password)
    if ($User) { $login = @('AUTH', $User, $Password) }
    $auth = Send-RedisCommand $Stream $login
    # A server that does not know the command repeats its words.
    if ($auth.Contains($Password)) { $auth = $auth.Split(' ')[0] }
    if ($auth -cne '+OK') { return "it answers AUTH with: $auth" }
    $last = Send-RedisCommand $Stream @('PING')
    if ($last -cne '+PONG') { return "it answers PING with: $last" }
    return ''
}

function Get-RedisProblem {
    # What is wrong with one server by its own answers; empty if nothing is. $TlsName is the name in its certificate.
    param([string] $HostName, [int] $Port, [string] $User, [string] $Password, [string] $TlsName)
    $client = $null
    try {
        # An IPv6 address needs a socket of its own family.
        $address = $null
        if ([Net.IPAddress]::TryParse($HostName, [ref] $address)) { $client = New-Object Net.Sockets.TcpClient($address.AddressFamily) }
        else { $client = New-Object Net.Sockets.TcpClient }
        $client.SendTimeout = 5000
        $client.ReceiveTimeout = 5000
        $client.Connect($HostName, $Port)
        $stream = $client.GetStream()
        if ($TlsName) {
            $stream = New-Object Net.Security.SslStream($stream)
            $stream.AuthenticateAsClient($TlsName, $null, [Security.Authentication.SslProtocols]::Tls12, $false)
        }
        return Get-LoginProblem $stream $User $Password
    }
    catch { return "it does not answer: $($_.Exception.GetBaseException().Message)" }
    finally { if ($null -ne $client) { $client.Close() } }
}

function Get-ServerProblem {
    # Every server of the farm that fails, with the reason. A replica answers like the master.
    param([string] $Password)
    foreach ($server in $RedisServers) {
        $problem = Get-RedisProblem $server.HostName $server.Port '' $Password ''
        if ($problem) { "Redis on $($server.Name): $problem" }
        else { Write-Host "Redis on $($server.Name) answers AUTH and PING." }
    }
}

function Wait-Redis {
    # The problem that is left after half a minute; empty if Redis is as it must be.
    for ($attempt = 1; $attempt -le 15; $attempt++) {
        $problem = Get-RedisProblem '127.0.0.1' $Port '' $RedisPassword ''
        if (-not $problem) { return '' }
        Start-Sleep -Seconds 2
    }
    return $problem
}

function Get-ConfigurationPath {
    # The configuration file in the command line of the service, with or without quotes; empty if there is none.
    $service = Get-WmiObject Win32_Service -Filter "Name='Redis'"
    if ($null -eq $service) { return '' }
    $path = ''
    if ($service.PathName -match '--service-run\s+(?:"(?<file>[^"]+)"|(?<file>[^"\s].*?))(?:\s+--.*)?\s*$') { $path = $Matches['file'] }
    if (-not $path) { throw "The command line of the service Redis names no configuration file: $($service.PathName)" }
    if (-not [IO.Path]::IsPathRooted($path) -and $service.PathName -match '^"?(?<program>.+?\.exe)') {
        $path = [IO.Path]::Combine([IO.Path]::GetDirectoryName($Matches['program']), $path)
    }
    return $PSCmdlet.GetUnresolvedProviderPathFromPSPath($path)
}

function Get-NewConfiguration {
    # The bytes of the configuration with this one password; nothing if it has it already.
    param([string] $Path)
    # One character for each byte: everything else stays byte by byte, whatever the encoding of the comments is.
    $latin = [Text.Encoding]::GetEncoding(28591)
    $text = $latin.GetString([IO.File]::ReadAllBytes($Path))
    $quoted = $RedisPassword.Replace('\', '\\').Replace('"', '\"')
    $line = $latin.GetString([Text.Encoding]::UTF8.GetBytes("requirepass `"$quoted`""))
    $found = [regex]::Matches($text, '(?im)^[ \t]*(?<line>requirepass[ \t][^\r\n]*)(?:\r?\n|\z)')
    if ($found.Count -eq 1 -and $found[0].Groups['line'].Value -ceq $line) { return $null }
    $end = "`n"
    if ($text.Contains("`r`n")) { $end = "`r`n" }
    $kept = [regex]::Replace($text, '(?im)^[ \t]*requirepass[ \t][^\r\n]*(?:\r?\n|\z)', '')
    if ($kept -and -not $kept.EndsWith("`n")) { $kept += $end }
    return ,$latin.GetBytes($kept + $line + $end)
}

function Set-File {
    # Writes beside the file and moves it into place: if the disk is full, the old file stays intact. The old one is $Backup.
    param([string] $Path, [byte[]] $Bytes, [string] $Backup)
    $scratch = "$Path.nlbgen.tmp"
    try {
        [IO.File]::WriteAllBytes($scratch, $Bytes)
        [IO.File]::Replace($scratch, $Path, $Backup)
    }
    finally { if (Test-Path -LiteralPath $scratch) { Remove-Item -LiteralPath $scratch -Force } }
}

Write-Warning 'One Redis is a single point of failure: while it is down, the nodes do not pass messages on.'

$principal = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    throw 'This script needs an elevated PowerShell: right-click PowerShell, Run as administrator.'
}
if (-not $RedisPassword) { throw 'The password is missing: set $env:NLBGEN_REDIS_PASSWORD, or pass it as a parameter.' }
if ($RedisPassword.Contains(',') -or $RedisPassword -ne $RedisPassword.Trim() -or $RedisPassword -match '\p{Cc}') {
    throw 'The connection string of StackExchange.Redis cannot hold this password: it must not contain commas, or spaces at the ends.'
}
if ([Text.Encoding]::UTF8.GetByteCount($RedisPassword) -gt 512) { throw 'redis.conf cannot hold this password: it is longer than 512 bytes.' }

if ($null -ne (Get-Service -Name Redis -ErrorAction SilentlyContinue)) {
    Write-Host 'The service Redis is installed already.'
}
elseif ($PSCmdlet.ShouldProcess($Kit, 'install')) {
    $Kit = $PSCmdlet.GetUnresolvedProviderPathFromPSPath($Kit)
    if (-not (Test-Path -LiteralPath $Kit -PathType Leaf)) { throw "$Kit is missing: give -Kit." }
    # From the guide: msiexec /q /norestart /i Redis-x64-3.0.504.msi PORT=6379 ADD_FIREWALL_RULE=1
    $arguments = @('/q', '/norestart', '/i', "`"$Kit`"", "PORT=$Port", 'ADD_FIREWALL_RULE=1')
    $process = Start-Process -FilePath 'msiexec.exe' -ArgumentList $arguments -Wait -PassThru
    if ($process.ExitCode -ne 0 -and $process.ExitCode -ne 3010) { throw "msiexec failed with exit code $($process.ExitCode)." }
}

$configuration = Get-ConfigurationPath
$backup = ''
if (-not $configuration) {
    if (-not $WhatIfPreference) { throw 'The service Redis does not exist: install it, then run this script again.' }
    [void] $PSCmdlet.ShouldProcess('the configuration of the new service', 'set requirepass, and restart Redis')
}
else {
    $bytes = Get-NewConfiguration $configuration
    if ($null -ne $bytes) {
        if ($PSCmdlet.ShouldProcess($configuration, 'set requirepass, and restart Redis')) {
            $backup = "$configuration.$(Get-Date -Format 'yyyyMMdd-HHmmss').bak"
            Set-File $configuration $bytes $backup
        }
    }
}
$restart = $backup -or ($configuration -and (Get-RedisProblem '127.0.0.1' $Port '' $RedisPassword ''))
if ($restart -and ($backup -or $PSCmdlet.ShouldProcess('Redis', 'restart, because the password is not in force'))) {
    try { Restart-Service -Name Redis }
    catch { Write-Warning "The service Redis does not restart: $($_.Exception.GetBaseException().Message)" }
}

if (-not $WhatIfPreference) {
    try { Start-Service -Name Redis }
    catch { Write-Warning "The service Redis does not start: $($_.Exception.GetBaseException().Message)" }
    $problem = Wait-Redis
    if ($problem -and $backup) {
        Set-File $configuration ([IO.File]::ReadAllBytes($backup)) "$backup.failed"
        try { Restart-Service -Name Redis }
        catch { Write-Warning "The service Redis does not restart: $($_.Exception.GetBaseException().Message)" }
        throw "Redis did not take the password: $problem The old configuration is back; the new one is $backup.failed."
    }
    if ($problem) { throw "Redis on port $Port cannot serve the farm: $problem" }
    Write-Host "Redis on this machine answers AUTH and PING on port $Port."
    foreach ($problem in @(Get-ServerProblem $RedisPassword)) { Write-Warning $problem }
    Write-Host 'Run test-redis.ps1 on every node: all servers of Redis must answer there.'
}
