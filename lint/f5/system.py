"""The version of the system: security fixes that it does not have."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ...readers.tree import Configuration
from ..rule import Found, Rule
from .base import F5

_VERSION: Final = re.compile(r"TMSH-VERSION:\s*(\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True)
class Fix:
    """A security fix: the first version of each series that has it, and the first series with it from the start."""

    name: str
    published: str
    advisory: str
    versions: Mapping[str, str]
    since: str
    what: str


FIXES: Final = (
    Fix(
        name="CVE-2022-1388",
        published="2022-05-04",
        advisory="https://my.f5.com/manage/s/article/K23605346",
        versions={"13.1": "13.1.5", "14.1": "14.1.4.6", "15.1": "15.1.5.1", "16.1": "16.1.2.2"},
        since="17.0",
        what="anyone who reaches iControl REST controls the system, without a password",
    ),
)
"""Fixes for everyone who can reach the system, whichever modules it has; those of single modules are not listed."""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def missing(version: str) -> Iterator[Fix]:
    """Yield the fixes that a version does not have."""
    series = ".".join(version.split(".")[:2])
    for fix in FIXES:
        if _numbers(version) < _numbers(fix.versions.get(series, fix.since)):
            yield fix


def _old(configuration: Configuration) -> Iterator[Found]:
    seen = set()
    for comment in configuration.comments:
        found = _VERSION.match(comment.text)
        if found and found[1] not in seen:
            seen.add(found[1])
            for fix in missing(found[1]):
                yield Found(
                    comment.location, f"BIG-IP {found[1]} has no fix for {fix.name} ({fix.published}): {fix.what}"
                )


RULES: Final = (
    Rule(
        id="f5-version",
        vendors=F5,
        severity="error",
        title="the version has the security fixes for the management interface",
        why="a file has the version of the system in its first line. Known attacks on older versions need no password",
        instead="install a version that F5 supports, and allow the management addresses for administrators only",
        source=FIXES[0].advisory,
        check=_old,
    ),
)
