"""The version of the system: security fixes that it does not have."""

import re
from collections.abc import Iterator
from typing import Final

from ...readers.tree import Configuration
from ..rule import Found, Rule
from ..versions import FIXES, lacks, numbers
from .base import F5

_VERSION: Final = re.compile(r"TMSH-VERSION:\s*(\d{1,5}(?:\.\d{1,5}){2,3})(?![.\d])")


def _old(configuration: Configuration) -> Iterator[Found]:
    seen = set()
    for comment in configuration.comments:
        found = _VERSION.match(comment.text)
        if found and found[1] not in seen:
            seen.add(found[1])
            for fix in FIXES["f5"]:
                if lacks(numbers(found[1]), fix):
                    what = f"BIG-IP {found[1]} has no fix for {fix.cve} ({fix.date}): {fix.effect}"
                    yield Found(comment.location, what)


RULES: Final = (
    Rule(
        id="f5-version",
        vendors=F5,
        severity="error",
        title="the version has the security fixes for the management interface",
        why="the line `TMSH-VERSION` of this file shows the version of the BIG-IP. Known attacks on versions without "
        "this fix need no password",
        instead="install a version that F5 supports, and allow only administrators to reach the management addresses",
        source=FIXES["f5"][0].source,
        check=_old,
    ),
)
