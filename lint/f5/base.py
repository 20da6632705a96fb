"""What the rules share: the model of a configuration, and its virtual servers for browsers and robots."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ...core.errors import Location
from ...readers.f5.model import Model, Pool, Profile, Virtual, model
from ...readers.f5.objects import Item
from ...readers.tree import Configuration, Vendor
from ..rule import Found, of_last

F5: Final[tuple[Vendor, ...]] = ("f5",)
TMSH: Final = "https://clouddocs.f5.com/cli/tmsh-reference/latest/modules/ltm"
PAGE: Final = "docs/vendors/f5.md"
_WEB_PORTS: Final = frozenset((80, 443, 8080, 8443))

_model: Final = of_last(model)


def by_model(check: Callable[[Model], Iterable[Found]]) -> Callable[[Configuration], Iterable[Found]]:
    """Make the check of a rule from a function about the model."""
    return lambda configuration: check(_model(configuration))


def each_virtual(check: Callable[[Model, Virtual], Iterable[Found]]) -> Callable[[Configuration], Iterable[Found]]:
    """The check of a rule that looks at one web virtual server after the other."""
    return by_model(lambda found: [one for virtual in web(found) for one in check(found, virtual)])


def each_pool(check: Callable[[Model, Pool], Iterable[Found]]) -> Callable[[Configuration], Iterable[Found]]:
    """The check of a rule that looks at one pool of a web virtual server after the other.

    Pools that only an iRule selects are left out: the rule can be the last resort while other pools are down.
    """

    def run(found: Model) -> Iterator[Found]:
        used = {path for virtual in web(found) for path in virtual.pools}
        for path, pool in found.pools.items():
            if path in used:
                yield from check(found, pool)

    return by_model(run)


def web(found: Model) -> Iterator[Virtual]:
    """The virtual servers that send requests of browsers and robots to pools."""
    for virtual in found.virtuals:
        http = virtual.of_kind("http") or virtual.of_kind("client-ssl") or virtual.destination.port in _WEB_PORTS
        if virtual.enabled and http and (virtual.pools or virtual.rule_pools):
            yield virtual


def code(found: Model, virtual: Virtual) -> str:
    """The code of all iRules of a virtual server, in lower case."""
    return "\n".join(found.rules.get(path, "") for path in virtual.rules).lower()


def unknown_rules(found: Model, virtual: Virtual) -> bool:
    """Whether an iRule is not in the file, so that it can do anything."""
    return any(path not in found.rules for path in virtual.rules)


def place(item: Item | None, name: str, otherwise: Location) -> Location:
    """The value of a property, else the object that has none of its own; `otherwise` if the file has no object."""
    if item is None:
        return otherwise
    written = next((one for one in item.statement.inside if one.name == name), None)
    return written.words[min(1, len(written.words) - 1)].location if written else item.location


def profile_place(profile: Profile, name: str) -> Location:
    """The value of a property of a profile; where the virtual server names the profile if there is none."""
    return place(profile.item, name, profile.statement.location)


def number(text: str | None) -> int | None:
    """A number; None for anything else (`indefinite`, a value that is not known)."""
    return int(text) if text and text.isascii() and text.isdigit() else None


def named(virtual: Virtual) -> str:
    """A virtual server as a message names it: virtual server `web`."""
    return f"virtual server `{short(virtual.item.path)}`"


def short(path: str) -> str:
    """An object as a message names it: without /Common."""
    return path.removeprefix("/Common/")
