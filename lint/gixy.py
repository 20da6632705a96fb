"""The findings of gixy, a linter of NGINX's security, if it is installed (`pip install nlbgen[lint]`).

gixy runs as a process of its own: it configures logging for its whole process. Its findings are warnings or notes of
rules with the id `gixy-PLUGIN`; those that a rule of nlbgen reports too are left out.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ..core import activity
from ..core.errors import Location
from ..readers.tree import Configuration
from .rule import Finding, Rule, Severity

_SECONDS: Final = 60
_RESOLVER: Final = "missing_resolver"
_MAP_WORDS: Final = 2
_SEVERITIES: Final[dict[str, Severity]] = {"HIGH": "warning", "MEDIUM": "warning", "LOW": "note"}
_OWN: Final = frozenset(
    (
        *("weak_ssl_tls", "proxy_set_header_redefinition", "add_header_redefinition", "proxy_buffering_off"),
        *("worker_rlimit_nofile_vs_connections", "host_spoofing"),
    )
)
"""Plugins about which nlbgen has rules; `proxy_buffering off` is right for SignalR."""


def is_installed() -> bool:
    """Whether gixy can run."""
    return find_spec("gixy") is not None


def findings(file: str, configuration: Configuration) -> tuple[Finding, ...]:
    """What gixy reports about a configuration of NGINX that was read from a file.

    If gixy fails or takes longer than a minute, the only finding is a note that its rules were not applied.
    """
    if configuration.vendor != "nginx" or not is_installed():
        return ()
    activity.note(f"gixy: {file}")
    command = [sys.executable, "-m", "gixy", "-f", "json", "--", file]
    try:
        done = subprocess.run(  # noqa: S603  # this Python, and the path of a file
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
        issues = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return (_no_result(file, f"gixy gave no result within {_SECONDS} s"),)
    except (OSError, ValueError):
        return (_no_result(file, "gixy gave no result"),)
    return tuple(dict.fromkeys(_findings(issues, configuration)))


def _findings(issues: Iterable[dict[str, object]], configuration: Configuration) -> Iterator[Finding]:
    # gixy names files by their absolute paths.
    names = {str(Path(name).resolve()): name for name in configuration.lines}
    to_upstreams = frozenset(_to_upstreams(configuration))
    for issue in issues:
        plugin, line = str(issue.get("plugin")), issue.get("line")
        file = names.get(str(Path(str(issue.get("file"))).resolve()), "")
        lines = configuration.lines.get(file, ())
        if plugin in _OWN or not isinstance(line, int) or not 0 < line <= len(lines):
            continue
        if plugin == _RESOLVER and (file, line) in to_upstreams:
            continue
        text = lines[line - 1]
        column = len(text) - len(text.lstrip()) + 1
        yield Finding(_rule(plugin, issue), Location(file, line, column), _sentence(issue, "reason", "summary"))


def _to_upstreams(configuration: Configuration) -> Iterator[tuple[str, int]]:
    """The lines of `proxy_pass` with a variable that a `map` gives only names of upstreams: nothing is resolved."""
    statements = [*configuration.walk()]
    upstreams = {one.arguments[0] for one in statements if one.name == "upstream" and one.arguments}
    maps: dict[str, set[str]] = {}
    for one in statements:
        if one.name == "map" and len(one.arguments) == _MAP_WORDS:
            values = (line.words[-1].text for line in one.inside if len(line.words) > 1)
            maps.setdefault(one.arguments[1], set()).update(values)
    for one in statements:
        name = one.arguments[0].rpartition("://")[2] if one.name == "proxy_pass" and one.arguments else ""
        if name in maps and maps[name] <= upstreams:
            yield one.location.file, one.location.line


def _no_result(file: str, message: str) -> Finding:
    rule = Rule(
        id="gixy-no-result",
        vendors=("nginx",),
        severity="note",
        title="gixy gave no result",
        why="the rules of gixy were not applied to this file. The rules of nlbgen were applied",
        instead="run gixy itself to see the reason: `python -m gixy FILE`",
        source="https://github.com/dvershinin/gixy",
        check=_nothing,
    )
    return Finding(rule, Location(file, 1, 1), message)


def _rule(plugin: str, issue: dict[str, object]) -> Rule:
    """A rule of gixy, as this finding describes it."""
    reference = str(issue.get("reference") or "")
    return Rule(
        id=f"gixy-{plugin.replace('_', '-')}",
        vendors=("nginx",),
        severity=_SEVERITIES.get(str(issue.get("severity")), "note"),
        title=_sentence(issue, "summary", "plugin"),
        why=_sentence(issue, "description", "summary"),
        instead=_instead(issue, reference),
        source=reference if reference.startswith("https://") else "https://github.com/dvershinin/gixy",
        check=_nothing,
    )


def _instead(issue: dict[str, object], reference: str) -> str:
    """The first fix of gixy, else where to read about it."""
    fixes = issue.get("fixes")
    first = fixes[0] if isinstance(fixes, list) and fixes and isinstance(fixes[0], dict) else {}
    return _sentence(first, "title") or f"see {reference or 'the documentation of gixy'}"


def _nothing(_configuration: Configuration) -> tuple[()]:
    """The rules of gixy run in gixy."""
    return ()


def _sentence(issue: dict[str, object], *names: str) -> str:
    """The first text that the issue has, on one line and without its full stop."""
    texts = (" ".join(str(issue.get(name) or "").split()) for name in names)
    return next((text for text in texts if text), "").rstrip(".")
