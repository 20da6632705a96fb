#Requires -Version 5.1
# Check of Redis of the farm orchestrator-prod
# Made by nlbgen VERSION from the spec with digest b19b18d070c3158f.
# Do not edit: change the spec and run `nlbgen render nodes` again.
<#
.SYNOPSIS
Checks from this machine that Redis of the farm orchestrator-prod answers AUTH and PING. It changes nothing.

.DESCRIPTION
Run it on every node. An open port is not enough: a wrong password, or a Redis without one, shows itself here.
#>
[CmdletBinding()]
param(
    [string] $RedisPassword = $env:NLBGEN_REDIS_PASSWORD
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

# The servers of Redis to which the nodes connect.
$RedisServers = @(
    @{ Name = 'redis-1.corp.example:10000'; HostName = 'redis-1.corp.example'; Port = 10000 }
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

if (-not $RedisPassword) { throw 'The password is missing: set $env:NLBGEN_REDIS_PASSWORD, or pass it as a parameter.' }
$problems = @(Get-ServerProblem $RedisPassword)
foreach ($problem in $problems) { Write-Warning $problem }
if ($problems.Count -gt 0) { throw "$($problems.Count) of $($RedisServers.Count) servers of Redis cannot serve the farm: $($problems -join '; ')" }
