"""The types of rules and findings."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeVar

from ..core.errors import Location
from ..readers.tree import Configuration, Vendor

Severity = Literal["error", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
"""The most severe one first.

An error: requests fail, data is lost, or an attacker gets through. A warning: the same happens in an incident that is
to be expected, such as a node that stops. A note: it depends on facts that the file does not have.
"""
_WITH_SCENARIOS: Final[tuple[Vendor, ...]] = ("haproxy", "nginx")
"""`nlbgen prove` starts these; for F5 it runs no scenario."""


_Model = TypeVar("_Model")


class Found(NamedTuple):
    """What a rule found: where, and what is there (a sentence without its full stop)."""

    location: Location
    message: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule about configurations.

    `why` is what happens, with the numbers that were measured; `instead` is what to write. `scenario` names the
    scenario of `nlbgen prove` about the same failure, or is None. `source` is a page of the vendor's documentation,
    or a page of nlbgen's with the measurement, as `docs/performance.md`.
    """

    id: str
    vendors: tuple[Vendor, ...]
    severity: Severity
    title: str
    why: str
    instead: str
    source: str
    check: Callable[[Configuration], Iterable[Found]]
    scenario: str | None = None

    @property
    def proof(self) -> str:
        """The command that tests the configuration that nlbgen renders for this; empty without a scenario.

        It does not test the linted file, and it runs scenarios only in programs, not on devices.
        """
        vendor = next((one for one in self.vendors if one in _WITH_SCENARIOS), None)
        return f"nlbgen prove {vendor} --scenario {self.scenario}" if vendor and self.scenario else ""


class Finding(NamedTuple):
    """A rule that a configuration breaks, with the location and the specific message."""

    rule: Rule
    location: Location
    message: str

    @property
    def sort_key(self) -> tuple[Location, str, str]:
        """Findings are listed in the order of the file."""
        return self.location, self.rule.id, self.message


def of_last(make: Callable[[Configuration], _Model]) -> Callable[[Configuration], _Model]:
    """Return `make` with a memory of one result: all rules of a configuration run one after the other."""
    last: list[tuple[Configuration, _Model]] = []

    def made(configuration: Configuration) -> _Model:
        if not last or last[0][0] is not configuration:
            last[:] = [(configuration, make(configuration))]
        return last[0][1]

    return made
