"""Credentials in URLs, which must not get into the balancer's logs, for all vendors.

Browsers cannot set headers for WebSockets and event streams, so clients of SignalR Core send the access token in the
URL. `connectionToken` (SignalR 2) and `id` (SignalR Core from negotiate version 1 on) are the tokens of a connection: a
client that has one can send as its owner. An `id` of another length is the application's own, and stays readable.

Sources: docs/specs/TransportProtocols.md in dotnet/aspnetcore; HttpConnectionManager.cs makes tokens of 16 bytes, which
are 22 characters.
"""

from typing import Final

TOKENS: Final = "access_token|connectionToken"
"""A regular expression: the parameters whose whole value is masked."""
CONNECTION_ID: Final = "[A-Za-z0-9_-]{22}"
"""A regular expression: the values of `id` that are masked."""
MASK: Final = "***"
LONGEST_LINE: Final = 8192
"""Bytes of a line in a log; rsyslog accepts no longer ones by default."""
