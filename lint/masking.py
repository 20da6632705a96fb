"""Source lines as messages may show them: without secrets."""

import re
from functools import lru_cache
from typing import Final

_SECRETS: Final = (
    # AS3: the text after the key of a secret.
    re.compile(
        r"(?i)(\"\w*(?:passphrase|password|secret|ciphertext|protected|privatekey)\"[ \t]*:[ \t]*)"
        r"(\"(?:[^\"\\]|\\.)*\"?)"
    ),
    # HAProxy: users, statistics; F5: passwords and passphrases of objects.
    re.compile(r"(?i)(\b(?:insecure-|encrypted-)?(?:password|passphrase|secret|shared-secret)[ \t=:]+)(\S+)"),
    re.compile(r"(\bdynamic-cookie-key[ \t]+)(\S+)"),
    re.compile(r"(\bstats[ \t]+auth[ \t]+[^\s:]+:)(\S+)"),
    re.compile(r"(?i)(\bauthorization[\"']?[,:]?[ \t]+)(.+)"),
    re.compile(r"(?i)(\b(?:basic|bearer)[ \t]+)([A-Za-z0-9+/=._~-]{6,})"),
    re.compile(r"(\b(?:setenv|presetenv)[ \t]+\S+[ \t]+)(.+)"),
    re.compile(r"(://[^/\s:@]+:)([^@\s/]+)(?=@)"),
    re.compile(r"(?i)(\b(?:api[-_]?key|access[-_]?token|auth[-_]?pass)[\"']?[ \t=:]+)(\S+)"),
)


@lru_cache(maxsize=16)
def without_secrets(line: str) -> str:
    """The line with `***` in place of passwords, tokens and the values of variables."""
    for pattern in _SECRETS:
        line = pattern.sub(r"\1***", line)
    return line
