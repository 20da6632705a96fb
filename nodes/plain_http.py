"""PowerShell that lets IIS accept plain HTTP: Orchestrator's site redirects it to HTTPS by a rewrite rule.

`$site` is the site as `Get-Website` returns it. The runbook and the roles of Ansible run the same lines.
Source: UiPath's Install-UiPathOrchestrator.ps1, which disables the rule for a load balancer that ends TLS.
"""

from typing import Final

RULE: Final = "Redirect HTTP to HTTPS"
"""The name of the rewrite rule."""
NAMES: Final = (
    '$where = "MACHINE/WEBROOT/APPHOST/$($site.name)"',
    f"$rule = '/system.webServer/rewrite/rules/rule[@name=\"{RULE}\"]'",
)
"""The lines before `STATE`, `DISABLE` and `ENABLE`."""
BINDING: Final = "Get-WebBinding -Name $site.name -Protocol http"
STATE: Final = "(Get-WebConfigurationProperty -PSPath $where -Filter $rule -Name enabled).Value"
DISABLE: Final = "Set-WebConfigurationProperty -PSPath $where -Filter $rule -Name enabled -Value $false"
ENABLE: Final = "Set-WebConfigurationProperty -PSPath $where -Filter $rule -Name enabled -Value $true"


def bind(port: str) -> str:
    """The line that binds the site to HTTP, unless it has such a binding; `port` is a number or a variable."""
    return f"if (-not ({BINDING})) {{ New-WebBinding -Name $site.name -Protocol http -Port {port} }}"


def is_accepted() -> list[str]:
    """The lines that set `$accepted`: whether the site has a binding for HTTP and does not redirect it."""
    return [*NAMES, f"$redirects = {STATE} -eq $true", f"$accepted = [bool] ({BINDING}) -and -not $redirects"]


def accept(port: str) -> list[str]:
    """The lines after which the site accepts HTTP; they end with an error if it still redirects."""
    failed = f"{RULE}: this rewrite rule of IIS is still enabled."
    return [
        bind(port),
        *NAMES,
        f"if ({STATE} -eq $true) {{",
        f"    {DISABLE}",
        "}",
        f"if ({STATE} -eq $true) {{",
        f"    throw '{failed}'",
        "}",
    ]
