"""Each rule for PowerShell finds what it is about, in the words of the scripts that broke it."""

import pytest

from tests.nodes.powershell_rules import RULES, broken

FUNCTIONS = """
function Start-Node { param($Pool)
Start-WebAppPool -Name $Pool; Start-Website -Name 'x' }
function Stop-Node { param($Pool)
Stop-Website -Name 'x'; Stop-WebAppPool -Name $Pool }
"""

BROKEN = {
    "literal-path": [
        "Get-Item 'IIS:\\\\Sites\\\\x'",
        "$p = 'x'; if ((Get-ItemProperty $p -Name startMode) -ne 'AlwaysRunning') { $true }",
        "$p = 'x'; Test-Path -Path $p",
    ],
    "writer": [
        "$p = 'x'; Set-Content -LiteralPath $p -Value 'requirepass x' -Encoding ASCII",
        "'x' > 'C:\\x.txt'",
        "$b = [Text.Encoding]::ASCII.GetBytes('x')",
    ],
    "resolved-path": [
        "param([string] $ConfigPath = 'web.config')\n$t = [IO.File]::ReadAllBytes($ConfigPath)",
        "param([string] $Kit)\n$path = (Resolve-Path -LiteralPath $Kit).ProviderPath",
    ],
    "scratch": [
        "$a = 'x'; [IO.File]::Replace($a, 'b', 'c')",
        "$a = 'x'; try { [IO.File]::Replace($a, 'b', 'c') } finally { Write-Host 'x' }",
    ],
    "desktop": ["#Requires -Version 5.1\nSet-StrictMode -Version 2.0\nImport-Module WebAdministration"],
    "stop": [
        f"{FUNCTIONS}\nStop-Node 'p'\ntry {{ Write-Host 'x' }} finally {{ Start-Node 'p' }}",
        f"{FUNCTIONS}\ntry {{ Stop-Node 'p' }} finally {{ Write-Warning 'x' }}",
        "Stop-Website -Name 'x'",
    ],
    "between": [
        FUNCTIONS
        + "try { Stop-Node 'p'; Set-ItemProperty -LiteralPath 'x' -Name y -Value 1 } finally { Start-Node 'p' }"
    ],
    "unguarded": ["Set-ItemProperty -LiteralPath 'x' -Name startMode -Value 'AlwaysRunning'"],
    "proof": [
        "$c = New-Object Net.Sockets.TcpClient\ntry { $c.Connect('127.0.0.1', 6379) } finally { $c.Close() }",
        "Test-NetConnection redis-1 -Port 6379",
    ],
    "known": ["Stop-WebPool -Name 'x'"],
    "arguments": ["function Get-It { param($A, $B)\n$A + $B }\nGet-It 'x'"],
    "undefined": ["function Get-It { param($A)\n$B }", 'Write-Host "$x"'],
    "shadowed": ["function Add-One { $script:Changes++ }\n$changes = 1\nAdd-One"],
}


def test_broken_every_rule_has_a_snippet() -> None:
    assert {rule.__name__.replace("_", "-") for rule in RULES} == set(BROKEN)


@pytest.mark.parametrize("rule, script", [(rule, script) for rule, scripts in BROKEN.items() for script in scripts])
def test_broken_snippet_breaks_its_rule(rule: str, script: str) -> None:
    assert rule in {finding.rule for finding in broken(script.encode())}


@pytest.mark.parametrize(
    "script",
    [
        "$p = 'x'; if (Test-Path -LiteralPath $p) { Remove-Item -LiteralPath $p -Force }",
        "param([string] $Kit)\n$Kit = $PSCmdlet.GetUnresolvedProviderPathFromPSPath($Kit)",
        "$a = 'x'; try { [IO.File]::Replace($a, 'b', 'c') } finally { Remove-Item -LiteralPath $a }",
        f"{FUNCTIONS}\ntry {{ Stop-Node 'p' }} finally {{ Start-Node 'p' }}",
        "#Requires -PSEdition Desktop\nSet-StrictMode -Version 2.0\nImport-Module WebAdministration",
        "function Get-It { param($A, $B)\n$A + $B }\nGet-It 'x' (Get-It 1 2)",
        "$x = [regex]::Replace('a', 'a', { param($match) $match.Value })",
    ],
)
def test_broken_correct_snippet_breaks_none(script: str) -> None:
    assert broken(script.encode()) == []
