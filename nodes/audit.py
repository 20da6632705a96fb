"""Compare the settings that all nodes must share, and find problems that no farm can have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, NamedTuple

from ..core.errors import NlbgenError
from ..core.wording import legible, plural, shortened
from ..spec.load import Spec
from . import collected_facts, file_checks, keys, public_url, service_checks, service_values, spec_compare
from .config.effective import Config
from .config.webconfig import ConfigError
from .fingerprints import Fingerprints
from .observed import ABSENT, ObservedValue, values

NODE_CONFIG: Final = "node-config"
"""The id of a file that cannot be read."""
_COLUMNS: Final = 4
"""The most nodes with a column each; for more nodes the text lists values with their nodes."""
_NAMES: Final = 6
_WIDEST: Final = 45
_BEFORE: Final = 10
"""Characters before the first difference of long values that begin alike."""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting on all nodes."""

    title: str
    values: Mapping[str, ObservedValue]

    @property
    def same(self) -> bool:
        """Whether all nodes that were read have the same value; an unreadable value equals nothing."""
        read = [observed for observed in self.values.values() if observed is not service_values.NOT_READ]
        identities = [observed.identity for observed in read]
        return None not in identities and all(one == identities[0] for one in identities)

    def groups(self) -> list[tuple[str, list[str]]]:
        """Each value with its nodes, the most common first."""
        found: dict[object, tuple[str, list[str]]] = {}
        for node, observed in self.values.items():
            key = (observed.identity, node if observed.identity is None else "")
            found.setdefault(key, (observed.shown, []))[1].append(node)
        return sorted(found.values(), key=lambda group: -len(group[1]))

    def short(self) -> dict[str, str]:
        """The values as one column shows them; of long values that begin alike, the part with the first difference."""
        texts = {observed.shown for observed in self.values.values()}
        long = [text for text in texts if len(text) > _WIDEST]
        alike = len(list(takewhile(lambda column: len(set(column)) == 1, zip(*long, strict=False)))) if long[1:] else 0
        begin = alike - _BEFORE if alike > _WIDEST - _BEFORE else 0
        cut = {text: f"...{text[begin:]}" if begin and text in long else text for text in texts}
        return {text: shortened(part, _WIDEST) for text, part in cut.items()}


@dataclass(frozen=True, slots=True)
class NodeProblem:
    """A problem that keeps a node out of any farm, even if all nodes share it."""

    node: str
    id: str
    message: str
    hint: str
    location: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of the comparison."""

    nodes: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[NodeProblem, ...]
    notes: tuple[str, ...] = ()
    """What could not be compared."""
    incomplete: bool = False
    """Whether a node's file could not be read."""

    @property
    def drift(self) -> bool:
        """Whether anything differs or is a problem."""
        return bool(self.problems) or any(not row.same for row in self.rows)

    def text(self) -> str:
        """The report as text: a table with differences marked, then the problems, then the counts."""
        lines = self._table() if len(self.nodes) <= _COLUMNS else self._lists()
        for one in self.problems:
            lines += [f"{one.node}: {one.message} [{one.id}]", f"    {one.hint}", f"    at {one.location}"]
        return "".join(legible(line) + "\n" for line in (*lines, self.summary()))

    def summary(self) -> str:
        """The counts of nodes, of settings that differ or agree, and of problems."""
        differing = sum(not row.same for row in self.rows)
        agree = f"{differing} of {len(self.rows)} settings differ" if differing else f"{len(self.rows)} settings agree"
        problems = f", {plural(len(self.problems), 'problem')}" if self.problems else ""
        return f"{plural(len(self.nodes), 'node')}: {agree}{problems}"

    def _table(self) -> list[str]:
        head = ["setting", *self.nodes, ""]
        body = []
        for row in self.rows:
            short = row.short()
            cells = [short[row.values[node].shown] for node in self.nodes]
            body.append([row.title, *cells, "" if row.same else "DIFFERS"])
        widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (head, *body)
        ]

    def _lists(self) -> list[str]:
        lines = []
        for row in self.rows:
            if row.same:
                continue
            lines.append(f"{row.title}: DIFFERS")
            short = row.short()
            for shown, nodes in row.groups():
                more = f" and {len(nodes) - _NAMES} more" if len(nodes) > _NAMES else ""
                lines.append(f"  {short[shown]}: {', '.join(nodes[:_NAMES])}{more}")
        return lines

    def data(self) -> dict[str, object]:
        """The report as JSON data."""
        return {
            "nodes": list(self.nodes),
            "drift": self.drift,
            "settings": [
                {
                    "setting": row.title,
                    "same": row.same,
                    "nodes": {
                        node: {"value": observed.shown, "place": observed.location or None}
                        for node, observed in row.values.items()
                    },
                }
                for row in self.rows
            ],
            "problems": [
                {"node": one.node, "id": one.id, "message": one.message, "hint": one.hint, "place": one.location}
                for one in self.problems
            ],
        }


class Unreadable(NamedTuple):
    """A node whose file could not be read."""

    node: str
    error: NlbgenError
    location: str


def audit(configs: Mapping[str, Config], spec: Spec | None = None, unreadable: Sequence[Unreadable] = ()) -> Audit:
    """Compare configs, given by the names to show, with each other and with the rules.

    With a spec, also compare them with the spec and with the file of its `keys.from`. Raises NodeError if the secrets
    of the nodes cannot be compared.
    """
    collected_facts.require_same_key(configs)
    pepper = next(filter(None, map(keys.pepper_of, configs.values())), "")
    fingerprints = Fingerprints(pepper)
    titles: dict[str, None] = {}
    read: dict[str, dict[str, ObservedValue]] = {}
    for name, config in configs.items():
        read[name] = dict(values(config, fingerprints, spec))
        titles.update(dict.fromkeys(read[name]))
    absent = ObservedValue(ABSENT, ABSENT)
    rows = [Row(title, {name: read[name].get(title, absent) for name in configs}) for title in titles]
    shown = [
        row
        for row in rows
        if any(observed is not absent and observed.shown != ABSENT for observed in row.values.values())
    ]
    shown += [Row(title, found) for title, found in service_values.compared(configs, fingerprints, spec).items()]
    shown += [Row(title, found) for title, found in collected_facts.compared(configs).items()]
    several = len(configs) + len(unreadable) > 1
    notes = [
        *service_values.notes(configs),
        *filter(None, map(service_checks.certificate_note, configs.values())),
        *(note for config in configs.values() for note in public_url.notes(config)),
        *collected_facts.notes(configs),
    ]
    found = [
        (name, one)
        for name, config in configs.items()
        for one in (
            *file_checks.findings(config, spec, several=several),
            *service_checks.findings(config, several=several),
            *collected_facts.findings(config),
        )
    ]
    if spec is not None:
        found += spec_compare.findings(spec, configs, fingerprints, notes)
    notes += [f"{one.location}: the file of {one.node} was not compared" for one in unreadable]
    problems = [NodeProblem(one.node, NODE_CONFIG, *_told(one.error), one.location) for one in unreadable]
    problems += [NodeProblem(name, one.id, one.message, one.hint, str(one.location)) for name, one in found]
    return Audit(tuple(configs), tuple(shown), tuple(problems), tuple(dict.fromkeys(notes)), bool(unreadable))


def _told(error: NlbgenError) -> tuple[str, str]:
    message = error.description if isinstance(error, ConfigError) else error.message
    return f"the file was not compared: {message}", error.hint or ""
