"""The request headers that a client must not set, for all vendors.

ASP.NET, ASP.NET Core behind IIS, and IIS's modules (URL Rewrite, ARR) take the client's address, scheme, name, path,
method or certificate from them. A vendor removes them by prefix where its program can, otherwise by the known names.
IIS makes server variables of headers and writes a hyphen as an underscore: `X_Forwarded_For` is read as
`X-Forwarded-For`. So headers with an underscore are removed as well.

Sources: ForwardedHeadersDefaults and IISMiddleware in dotnet/aspnetcore; Microsoft's documentation of ARR and URL
Rewrite.
"""

from typing import Final

FORGED_PREFIXES: Final = ("MS-ASPNETCORE-", "X-ARR-", "X-Forwarded", "X-Original-", "X-Rewrite-")
"""Every header whose name begins like this."""
FORGED_NAMES: Final = (
    "Forwarded",
    "Front-End-Https",
    "Proxy",
    "True-Client-IP",
    "X-Client-IP",
    "X-HTTP-Method-Override",
    "X-Real-IP",
)
"""Single names."""
SET_BY_BALANCER: Final = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto")
"""The headers that the balancer itself sends to the nodes."""
KNOWN_FORGED: Final = (
    *("MS-ASPNETCORE-CLIENTCERT", "MS-ASPNETCORE-TOKEN", "MS-ASPNETCORE-WINAUTHTOKEN"),
    *("X-ARR-ClientCert", "X-ARR-LOG-ID", "X-ARR-SSL"),
    *("X-Forwarded", "X-Forwarded-By", "X-Forwarded-Client-Cert", "X-Forwarded-PathBase", "X-Forwarded-Prefix"),
    *("X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri"),
    *("X-Original-For", "X-Original-Host", "X-Original-Prefix", "X-Original-Proto", "X-Original-URL"),
    "X-Rewrite-URL",
)
"""The names with such a prefix that are in use, for programs that remove only single names."""
