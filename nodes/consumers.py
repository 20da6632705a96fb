"""Which secrets the nodes' files and programs can hold: one rule for each consumer of a secret.

Sources: the XML recommendation 1.0, section 2.2, and nlbgen's own rule for rendered files; `ConfigurationOptions.Parse`
of StackExchange.Redis, which splits at commas, trims values and knows no quoting; `sdssplitargs` and `loadServerConfig`
of Redis 3.0, whose quoted strings hold any character, and whose `requirepass` takes up to 512 bytes.

A connection string of SqlClient and the command line of aspnet_regsql hold every other text, because nlbgen quotes it.
"""

import re
from collections.abc import Callable
from typing import Final, Literal

Quoting = Literal["plain", "sql", "redis", "sentinel"]
"""How a value quotes the secret, and so which programs read it; `sentinel` is a Redis under Sentinel."""

UNWRITABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that XML or nlbgen's own files cannot hold, or that editors lose."""

REDIS_PASSWORD_BYTES: Final = 512

SENTINEL_UNQUOTABLE: Final = re.compile(r"[^A-Za-z0-9._~+/=:@-]")
"""Characters that are not safe in sentinel.conf, in a file of environment variables, and in a URL."""


def _files(text: str) -> str:
    found = UNWRITABLE.search(text)
    return "" if found is None else f"an XML file or a script cannot hold U+{ord(found[0]):04X}"


def _redis_string(text: str) -> str:
    if "," in text:
        return "the connection string of StackExchange.Redis ends the password at a comma, and has no quoting"
    if text != text.strip():
        return "the connection string of StackExchange.Redis drops white space at the ends"
    return ""


def _redis_conf(text: str) -> str:
    size = len(text.encode("utf-8", "replace"))
    return f"redis.conf takes {REDIS_PASSWORD_BYTES} bytes, not {size}" if size > REDIS_PASSWORD_BYTES else ""


def _sentinel_conf(text: str) -> str:
    """Sentinel 7.0.15 writes `sentinel auth-pass` back without quotes, and does not start again with such a file."""
    found = SENTINEL_UNQUOTABLE.search(text)
    if found is None:
        return ""
    return f"sentinel.conf has no quoting, and cannot hold U+{ord(found[0]):04X}: use letters, digits and ._~+/=:@-"


_RULES: Final[dict[Quoting, tuple[Callable[[str], str], ...]]] = {
    "plain": (_files,),
    "sql": (_files,),
    "redis": (_files, _redis_string, _redis_conf),
    "sentinel": (_files, _redis_string, _sentinel_conf, _redis_conf),
}


def refusal(text: str, quoting: Quoting) -> str:
    """The consumer that cannot hold this secret, and the reason; empty if every consumer can.

    It never contains the secret, except for the code of the one character that is refused.
    """
    return next((reason for rule in _RULES[quoting] if (reason := rule(text))), "")
