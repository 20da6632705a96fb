"""Known security fixes of programs, for `nlbgen lint --program-version`.

The list is short on purpose: fixes that concern a reverse proxy in front of IIS, without special modules. Distributions
also put fixes into older versions without a new number, so a finding asks to compare with the distribution's list.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ..core.errors import Location, UsageError
from ..readers.tree import Configuration, Vendor
from .rule import Finding, Rule

_PARTS: Final = (3, 4)
"""So many numbers has a version; those of a BIG-IP have four."""


class Fix(NamedTuple):
    """A security fix: its CVE, the date of its publication, its effect, and the first fixed version of each branch."""

    cve: str
    date: str
    effect: str
    fixed: tuple[str, ...]
    source: str


FIXES: Final[dict[Vendor, tuple[Fix, ...]]] = {
    "haproxy": (
        Fix(
            "CVE-2023-25725",
            "2023-02-14",
            "empty names of headers make other headers disappear (request smuggling)",
            ("2.0.31", "2.2.29", "2.4.22", "2.5.12", "2.6.9", "2.7.3"),
            "https://www.haproxy.com/blog/february-2023-header-parser-fixed",
        ),
        Fix(
            "CVE-2023-40225",
            "2023-08-10",
            "empty Content-Length headers reach the node (request smuggling)",
            ("2.0.33", "2.2.31", "2.4.24", "2.6.15", "2.7.10", "2.8.2"),
            "https://nvd.nist.gov/vuln/detail/CVE-2023-40225",
        ),
    ),
    "nginx": (
        Fix(
            "CVE-2021-23017",
            "2021-05-25",
            "with a `resolver`, a forged answer of DNS overwrites a byte of a worker's memory",
            ("1.20.1", "1.21.0"),
            "https://nginx.org/en/security_advisories.html",
        ),
        Fix(
            "CVE-2026-42945",
            "2026-05-13",
            "with a `rewrite`, a request overflows a buffer of a worker",
            ("1.30.1", "1.31.0"),
            "https://nginx.org/en/security_advisories.html",
        ),
        Fix(
            "CVE-2026-9256",
            "2026-05-22",
            "with overlapping groups in a `rewrite`, a request overflows a buffer of a worker",
            ("1.30.2", "1.31.1"),
            "https://nginx.org/en/security_advisories.html",
        ),
    ),
    "f5": (
        Fix(
            "CVE-2022-1388",
            "2022-05-04",
            "anyone who reaches iControl REST controls the system, without a password",
            ("13.1.5", "14.1.4.6", "15.1.5.1", "16.1.2.2", "17.0.0"),
            "https://my.f5.com/manage/s/article/K23605346",
        ),
    ),
}
"""By vendor, the oldest one first."""

MISSING_FIX: Final = Rule(
    id="missing-security-fix",
    vendors=("haproxy", "nginx", "f5"),
    severity="warning",
    title="the program has the known security fixes",
    why="the version is older than the first fixed one of its branch. A distribution may have backported the fix "
    "without changing the version number",
    instead="install the newest version of the branch, or compare the CVE with the list of your distribution",
    source="https://www.haproxy.org/bugs/",
    check=lambda _configuration: (),
)
"""Reported only with `--program-version`: a configuration does not name the version of its program."""


def missing_fixes(configuration: Configuration, version: str) -> Iterator[Finding]:
    """Yield a finding for each fix that a version lacks; raises UsageError for an invalid version."""
    number = numbers(version)
    file = next(iter(configuration.lines), "")
    for fix in FIXES.get(configuration.vendor, ()):
        if lacks(number, fix):
            message = f"{version} lacks the fix of {fix.cve} ({fix.date}): {fix.effect}; see {fix.source}"
            yield Finding(MISSING_FIX, Location(file, 1, 1), message)


def lacks(version: tuple[int, ...], fix: Fix) -> bool:
    """Whether the version is before the fix of its branch, or its branch ended without one."""
    fixed = [numbers(text) for text in fix.fixed]
    same = [one for one in fixed if one[:2] == version[:2]]
    return version < same[0] if same else version < max(fixed)


def numbers(text: str) -> tuple[int, ...]:
    """The numbers of a version, three or four; raises UsageError."""
    parts = text.partition("-")[0].split(".")
    if len(parts) not in _PARTS or not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts):
        raise UsageError(f"{text} is not a version", "write three numbers, as in --program-version 2.6.12")
    return tuple(map(int, parts))
