"""From an nginx.conf to the values of a spec."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ...core.errors import UnsupportedError, UsageError
from ...core.wording import all_of, one_of
from ...generators.base import generator, known_ids, render
from ...generators.features import FEATURES
from ...generators.nginx.generator import HTTP2_DIRECTIVE, STICKY
from ...readers.nginx import reader
from ...readers.nginx.model import model
from ...readers.tree import Configuration, Statement
from ...spec.load import Spec
from ...spec.model import Nginx
from ...spec.units import Version
from ..account import Account
from ..draft import MISSING, Draft, Members
from ..values import Values
from . import balancing, catalog, health, hosts, listen, nodes, others
from .roles import names_of, roles_of, sites_of, streams_of
from .source import Source, header_of, unread_of

_EXACT: Final = frozenset({"location", "if", "map", "split_clients"})
_CHECKS: Final = "the health checks, which open source NGINX does not have"
Words = tuple[str, ...]


def take(configuration: Configuration, source: str, frontend: str = "") -> Draft:
    """Take over what the configuration has; raises UsageError if no server sends requests to nodes."""
    account = Account(configuration)
    values = Values(account)
    found = streams_of(model(configuration), unread_of(configuration))
    header = header_of(configuration)
    farm = header[1] if header else ""
    sites = sites_of(found, farm)
    if not sites:
        raise UsageError(f"{source}: no server has a proxy_pass", "give nginx.conf, or the output of `nginx -T`")
    chosen = [one for one in sites if frontend in names_of(one)] if frontend else sites
    if not chosen:
        names = one_of(list(dict.fromkeys(name for one in sites for name in names_of(one)[:1])))
        raise UsageError(f"{source}: no server {frontend} has a proxy_pass", f"write --frontend {names}")
    roles = roles_of(found, farm, sites, chosen)
    taken = Source(configuration, found, account, values, roles)
    balancing.take_maintenance(taken)
    for step in (listen.take, hosts.take, nodes.take, health.take, balancing.take):
        step(taken)
    _own(taken)
    _lacking(taken)
    others.account_for(taken)
    if taken.accepted:
        values.take("accept", taken.accepted)
    members = tuple(one.statement for pool in roles.pools for one in pool.members)
    empty = tuple(pool.statement for pool in roles.pools if not pool.members)
    missing = (*MISSING, *([] if "balancer.health.interval" in values else [_CHECKS]))
    called = "server line of the farm's upstream"
    return Draft(
        account, values, _closing(configuration), tuple(_notes(taken)), Members(called, (*members, *empty)), missing
    )


def _own(source: Source) -> None:
    """Take what only the header of nlbgen's own file shows, or guess the version by what the file has."""
    values = source.values
    for statement in [one for one in source.found.http.main.own("user") if one.arguments][-1:]:
        values.take("nginx.user", statement.arguments[0], statement)
    if source.made_by_nlbgen is None:
        values.take("nginx.version", str(_least(source)))
        return
    version, farm = source.made_by_nlbgen
    values.take("farm", farm)
    values.take("nginx.version", version)
    for statement in source.configuration.walk():
        if statement.name == "location" and statement.arguments == ("=", f"/alive/{farm}"):
            source.account.given_up(statement, "frontend.vip makes the path of keepalived's check")
            source.notes.append("the farm has an address that balancers share: add frontend.vip to farm.yaml")
    if Version(version).parts[:2] > generator("nginx").newest.parts[:2]:
        source.lacking("version")


def _lacking(source: Source) -> None:
    """Accept the fallbacks of what the spec now asks for, and this NGINX lacks."""
    values = source.values
    affinity = values.get("balancer.affinity")
    if affinity in {"cookie", "signalr"} and Version(str(values.get("nginx.version"))) < STICKY:
        source.lacking(f"affinity-{affinity}")
    if source.roles.main.stream and values.get("frontend.tls.mode") == "passthrough":
        source.lacking("passthrough-health")
    states = {values.get(f"nodes[{index}].state") for index in range(len(source.members))}
    if "backup" in states and "source" in {affinity, values.get("balancer.algorithm")}:
        source.notes.append(
            "NGINX has no backup nodes with affinity by address: change balancer.affinity or the states"
        )


def _least(source: Source) -> Version:
    """The default version; a later one if the file has directives that need it."""
    scopes = [scope for http in source.found.http.http for scope in http.walk()]
    least = Nginx().version
    if any("http2" in scope.own_by_name for scope in scopes):
        least = max(least, HTTP2_DIRECTIVE)
    if any("sticky" in scope.own_by_name for scope in scopes):
        least = max(least, STICKY)
    return least


def _closing(configuration: Configuration) -> Callable[[Account, Spec], None]:
    """Return the function that accounts for what nlbgen writes itself, and for what the catalogue knows."""

    def close(account: Account, spec: Spec) -> None:
        written = set(_paths(_rendered(spec)))
        for path, statement in _placed(configuration.statements):
            if path in written and not account.has(statement):
                account.implied(statement, "nlbgen writes the same line")
        catalog.account_for(account, configuration)

    return close


def _rendered(spec: Spec) -> Configuration | None:
    """What nlbgen renders for the spec, with every fallback accepted; None if it cannot."""
    every = tuple(sorted(known_ids()))
    try:
        files = render(generator("nginx"), spec._replace(farm=spec.farm.replace(accept=every)))
    except UnsupportedError:
        return None
    return next(reader.read(Path("nginx.conf"), file.content) for file in files if file.main)


def _paths(configuration: Configuration | None) -> Iterator[tuple[Words, ...]]:
    return (path for path, _ in _placed(configuration.statements if configuration else ()))


def _placed(
    statements: tuple[Statement, ...], above: tuple[Words, ...] = ()
) -> Iterator[tuple[tuple[Words, ...], Statement]]:
    """Each statement with its words, below the blocks around it: locations and conditions with all of their words."""
    for statement in statements:
        yield (*above, tuple(word.text for word in statement.words)), statement
        words = (statement.name, *(statement.arguments if statement.name in _EXACT else ()))
        yield from _placed(statement.inside, (*above, words))


def _notes(source: Source) -> list[str]:
    """What to know about the choice of the server and about values that are guessed."""
    notes = list(dict.fromkeys(source.notes))
    if source.made_by_nlbgen is None:
        others_ = [one for one in source.roles.others if "proxy_pass" in {line.name for line in source.inside(one)}]
        if others_:
            names = ", ".join(f"{one.location}" for one in others_)
            where = source.roles.main.scope.location
            notes.append(f"the farm is the server at {where}, which has the most nodes; not taken over: {names}")
        notes.append("the file does not contain the version of NGINX: verify nginx.version")
    elif lost := [title for title in source.lacks if title in _LOST]:
        notes.append(f"the farm also has values that nginx.conf cannot hold: {all_of(lost)}; add them to farm.yaml")
    if accepted := [one for one in source.accepted if one != "nginx-version"]:
        notes.append(
            f"open source NGINX lacks requested features; farm.yaml accepts their fallbacks: {', '.join(accepted)}"
        )
    return notes


_LOST: Final = frozenset(
    feature.title
    for feature in FEATURES
    if feature.id
    in {
        "health-paths",
        "health-details-key",
        "slow-start",
        "queue",
        "address-limit",
        "ntlm",
        "redis-front",
        "refuse-all-failed",
    }
)
"""Features whose keys nlbgen's nginx.conf does not hold: its header only names them."""
