"""`nlbgen init --from` with the configuration of a load balancer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..core.errors import UsageError
from . import console

if TYPE_CHECKING:
    from ..readers.tree import Configuration, Vendor
    from ..spec.load import Spec
    from ..takeover.account import Fate, Line
    from ..takeover.draft import Draft
    from .tables import Block, Style

_LARGEST: Final = 256 * 1024 * 1024
_MOST_REASONS: Final = 10


class Taken(NamedTuple):
    """The spec from a configuration, and what became of each line."""

    content: bytes
    spec: "Spec"
    vendor: "Vendor"
    source: str
    lines: "tuple[Line, ...]"
    notes: tuple[str, ...]
    missing: tuple[str, ...]

    def show(self, *, to_errors: bool, as_json: bool) -> None:
        """Print every line of the source with its fate, on standard output or on standard error."""
        from ..core.wording import all_of
        from ..takeover.account import counts

        text = "".join(f"{line}\n" for one in self.lines for line in _texts(one))
        if as_json:
            console.show(self._data())
        elif to_errors:
            console.notice(text.rstrip("\n"))
        else:
            console.show(text, lambda: _blocks(self.lines))
        found = ", ".join(f"{number} {fate}" for fate, number in counts(self.lines).items())
        console.info(f"{len(self.lines)} statements: {found}")
        for note in self.notes:
            console.info(note)
        console.info(
            f"the configuration does not contain {all_of(self.missing)}: farm.yaml has your answers or default values "
            "instead"
        )

    def _data(self) -> dict[str, object]:
        """The lines for programs. Keys are only added, never renamed or removed."""
        from ..takeover.account import counts

        return {
            "source": self.source,
            "vendor": self.vendor,
            "counts": counts(self.lines),
            "lines": [
                {
                    "file": one.location.file,
                    "line": one.location.line,
                    "column": one.location.column,
                    "fate": one.fate,
                    "text": one.text,
                    "details": [*one.details],
                }
                for one in self.lines
            ],
            "notes": [*self.notes],
            "missing": [*self.missing],
        }


def _texts(line: "Line") -> Iterator[str]:
    from ..core.wording import legible

    yield legible(f"{line.location}: {line.fate}: {line.text}")
    if line.details:
        yield legible(f"    {line.detail}")


def _blocks(lines: "Sequence[Line]") -> "Iterator[Block]":
    from .tables import Line as Shown

    styles: dict[Fate, Style] = {"taken": "green", "implied": "", "given up": "yellow", "not understood": "red"}
    for line in lines:
        first, *rest = _texts(line)
        yield Shown(first, styles[line.fate])
        yield from (Shown(text, "dim", 0) for text in rest)


def _configuration_in(path: Path) -> "Configuration | None":
    """Return the load balancer's configuration in a file; None for a folder, and for the config file of a node.

    Raises UnreadableError, and UsageError for a vendor whose configurations `init` cannot take over.
    """
    from ..core import files
    from ..readers.detect import vendor_of

    try:
        content = b"" if path.is_dir() else files.content(path, _LARGEST)
    except OSError:
        return None  # the reader of the nodes' files reports it
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" or content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return None
    vendor = vendor_of(content)
    if vendor is None:
        return None
    from ..readers.load import read
    from ..takeover.importers import require_importer

    require_importer(vendor, str(path))
    return read(path, vendor)


Answer = Callable[..., str]


def take_over(path: Path, given: Mapping[str, Any], answer: Answer, output: Path) -> Taken | None:
    """Make the spec from a configuration and the answers; None for the config file of a node. Raises UsageError."""
    from ..takeover import importers

    configuration = _configuration_in(path)
    if configuration is None:
        return None
    draft = importers.take(configuration, str(path), given["frontend"] or "")
    if given["tls"] is not None:
        mode = draft.values.get("frontend.tls.mode")
        raise UsageError(f"--tls: {path} has the TLS mode {mode}", "change frontend.tls.mode in the written file")
    if not given["nodes"] and "nodes[0].name" not in draft.values:
        raise _no_member(draft, path)
    result = draft.finish(_given(draft, path, given, answer), str(path), str(output))
    vendor = configuration.vendor
    return Taken(result.content, result.spec, vendor, str(path), result.lines, draft.notes, draft.missing)


def _no_member(draft: "Draft", path: Path) -> UsageError:
    """The error for a configuration in which no statement has the address of a node, with the first reasons."""
    from ..core.wording import legible

    locations = {one.location for one in draft.members.statements}
    found = [one for one in draft.account.lines() if one.location in locations][:_MOST_REASONS]
    reasons = "".join(f"\n    {legible(f'{one.location}: {one.detail}')}" for one in found)
    what = f"{path}: no {draft.members.called} has the address of a node{reasons}"
    return UsageError(what, "add --node NAME=ADDRESS for each node")


def _given(draft: "Draft", path: Path, given: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    """The values that options and prompts give, by the paths of their keys."""
    from ..spec.starter import is_core_version, nodes

    found: dict[str, Any] = {}
    host = given["host"] or draft.values.get("frontend.host")
    if host is None:
        missing = f"{path} names no host: add --host NAME, the name that robots and people use"
        host = answer("host", "Name that robots and people use", missing=missing)
    found["frontend.host"] = host
    found["farm"] = given["farm"] or draft.values.get("farm") or str(host).partition(".")[0]
    if given["address"] is not None:
        found["frontend.address"] = given["address"]
    if given["nodes"]:
        draft.values.clear("nodes[")
        for index, (name, address) in enumerate(nodes(given["nodes"])):
            found[f"nodes[{index}].name"], found[f"nodes[{index}].address"] = name, address
    version = answer("orchestrator", "Orchestrator version, for example 2019.4 (empty if unknown)", "")
    if version:
        found["orchestrator.version"] = version
    store = given["store"] or "redis"
    found["stores.signalr"] = store
    if store == "redis":
        found |= _redis(answer, core=is_core_version(version))
    return found


def _redis(answer: Answer, *, core: bool) -> dict[str, Any]:
    from ..spec.starter import HAA_PORT, REDIS_PORT

    what = "Host of the High Availability Add-on" if core else "Redis host (sends SignalR's messages between the nodes)"
    hint = f"give its host{'' if core else ', or use SQL Server with --store sqlserver'}"
    servers = [server.strip() for server in answer("redis", what, missing=hint).split(",")]
    host, colon, port = servers[0].rpartition(":")
    if len(servers) > 1 or (colon and ":" in host):
        return {"stores.redis.endpoints": servers}
    default = HAA_PORT if core else REDIS_PORT
    return {
        "stores.redis.host": host if colon else port,
        "stores.redis.port": int(port) if colon and port.isdecimal() else default,
    }
