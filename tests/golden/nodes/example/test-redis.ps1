#Requires -Version 5.1
# Check of Redis of the farm orchestrator-prod
# Made by nlbgen VERSION from the spec with digest 8f7ab3cf693d4028.
# Do not edit: change the spec and run `nlbgen render nodes` again.
<#
.SYNOPSIS
Checks from this machine that Redis of the farm orchestrator-prod answers AUTH and PING. It changes nothing.

.DESCRIPTION
Run it on every node. An open port is not enough: a wrong password, or a Redis without one, shows itself here.
#>
[CmdletBinding()]
param(
    [string] $HostName = 'redis-1.corp.example',
    [int] $Port = 6379,
    [string] $RedisPassword = $env:NLBGEN_REDIS_PASSWORD
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

function Send-RedisCommand {
    # One command, and the first line of the answer. Lengths are in bytes of UTF-8, which StackExchange.Redis sends.
    param([IO.Stream] $Stream, [string[]] $Words)
    $request = "*$($Words.Count)`r`n"
    foreach ($word in $Words) { $request += '$' + [Text.Encoding]::UTF8.GetByteCount($word) + "`r`n" + $word + "`r`n" }
    $bytes = [Text.Encoding]::UTF8.GetBytes($request)
    $Stream.Write($bytes, 0, $bytes.Length)
    $line = ''
    while (($byte = $Stream.ReadByte()) -ge 0 -and $byte -ne 10) { $line += [char] $byte }
    return $line.Trim()
}

function Get-RedisProblem {
    # What is wrong with Redis by its own answers; empty if nothing is.
    param([string] $HostName, [int] $Port, [string] $Password, [bool] $Tls)
    $client = New-Object Net.Sockets.TcpClient
    try {
        $client.SendTimeout = 5000
        $client.ReceiveTimeout = 5000
        $client.Connect($HostName, $Port)
        $stream = $client.GetStream()
        if ($Tls) {
            $stream = New-Object Net.Security.SslStream($stream)
            $stream.AuthenticateAsClient($HostName, $null, [Security.Authentication.SslProtocols]::Tls12, $false)
        }
        $first = Send-RedisCommand $stream @('PING')
        if (-not $Password) {
            if ($first -ceq '+PONG') { return '' }
            return "it answers PING with: $first"
        }
        if ($first -ceq '+PONG') { return 'it answers PING without a password' }
        $auth = Send-RedisCommand $stream @('AUTH', $Password)
        if ($auth -cne '+OK') { return "it answers AUTH with: $auth" }
        $last = Send-RedisCommand $stream @('PING')
        if ($last -cne '+PONG') { return "it answers PING with: $last" }
        return ''
    }
    catch { return "it does not answer: $($_.Exception.GetBaseException().Message)" }
    finally { $client.Close() }
}

if (-not $RedisPassword) { throw 'The password is missing: set $env:NLBGEN_REDIS_PASSWORD, or pass it as a parameter.' }
$problem = Get-RedisProblem $HostName $Port $RedisPassword $false
if ($problem) { throw "Redis on ${HostName}:$Port cannot serve the farm: $problem" }
Write-Host "Redis on ${HostName}:$Port answers AUTH and PING."
