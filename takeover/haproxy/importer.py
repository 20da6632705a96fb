"""From a haproxy.cfg to the values of a spec."""

from typing import Final

from ...core.errors import UnsupportedError, UsageError
from ...core.wording import one_of
from ...generators.base import generator, render
from ...readers.haproxy import reader
from ...readers.haproxy.model import PROXIES, at_run_time, model
from ...readers.tree import Configuration, Statement
from ...spec.load import Spec
from ...spec.model import Haproxy
from ...spec.units import Version
from ..account import Account
from ..draft import Draft, Members
from ..values import Values
from . import balancing, catalog, checks, hosts, listen, nodes
from .source import Source, header_of, names_in, roles_of

_REDIS: Final = "_redis"


def take(configuration: Configuration, source: str, frontend: str = "") -> Draft:
    """Take over what the configuration has; raises UsageError if it has no frontend with servers."""
    account = Account(configuration)
    values = Values(account)
    found = model(configuration)
    header = header_of(configuration)
    roles = roles_of(found, frontend or (header[1] if header else ""))
    if roles is None:
        raise UsageError(f"{source}: no frontend has servers", "give the file with the backends of the farm")
    if frontend and roles.main.name != frontend:
        names = one_of([one.name for one in found.frontends if found.targets(one)])
        raise UsageError(f"{source}: no frontend {frontend} has servers", f"write --frontend {names}")
    taken = Source(found, account, values, roles)
    for part in (listen, hosts):
        part.take(taken)
    balancing.take_maintenance(taken)
    for step in (nodes.take, checks.take, balancing.take):
        step(taken)
    _own(taken)
    _sections(taken)
    servers = tuple(one.statement for pool in roles.pools for one in pool.servers)

    def close(account: Account, spec: Spec) -> None:
        _close(account, spec, own=taken.made_by_nlbgen is not None)

    return Draft(account, values, close, tuple(_notes(taken)), Members("server line", servers))


def _own(source: Source) -> None:
    """Take what only the header of nlbgen's own file shows."""
    if source.made_by_nlbgen is None:
        source.values.take("haproxy.version", str(Haproxy().version))
        return
    version, farm = source.made_by_nlbgen
    source.values.take("farm", farm)
    source.values.take("haproxy.version", version)
    newest = generator("haproxy").newest
    if Version(version).parts[:2] > newest.parts[:2]:
        source.values.take("accept", ["haproxy-version"])
    balancing.take_all_failed(source)


def _sections(source: Source) -> None:
    """Account for the farm's sections, and for all statements of sections that are not the farm's."""
    account, roles = source.account, source.roles
    if not account.has(roles.main.section):
        account.taken(roles.main.section, "frontend")
    for pool in roles.pools:
        if not account.has(pool.section):
            account.taken(pool.section, "nodes")
    _selections(source)
    _others(source)
    for section in source.model.configuration.statements:
        if section.name not in {*PROXIES, "global", "defaults", "resolvers", "crt-store"}:
            _other(account, section)


def _others(source: Source) -> None:
    """Account for the proxies that are not the farm's, and for what other keys of the spec make."""
    account, roles = source.account, source.roles
    for proxy in roles.others:
        redis = source.made_by_nlbgen is not None and proxy.name.startswith(f"{roles.main.name}{_REDIS}")
        why = (
            "stores.redis.sentinel makes the front of Redis"
            if redis
            else f"{proxy.kind} {proxy.name}: not part of the farm"
        )
        account.given_up_all(proxy.section.walk(), why)
    for name in ("monitor-uri", "monitor-net"):
        account.given_up_all(roles.main.all(name), f"{name}: the farm's frontend answers no checks of other balancers")
    if source.made_by_nlbgen and roles.statistics:
        account.given_up_all(
            roles.statistics.all("http-request", "return"), "stores.redis.sentinel makes the front of Redis"
        )
        account.given_up_all(
            roles.statistics.all("monitor-uri"), "frontend.vip makes the address of keepalived's check"
        )


def _selections(source: Source) -> None:
    """Account for the statements that select a pool, and for the ACLs that only other pools need."""
    account, main = source.account, source.roles.main
    needed: set[str] = set()
    unneeded: set[str] = set()
    for statement in main.section.inside:
        names = names_in(statement)
        if statement.name not in {"use_backend", "default_backend"} or not statement.arguments:
            needed |= names
            continue
        pool = source.model.proxy(statement.arguments[0])
        (needed if pool in source.roles.pools else unneeded).update(names)
        if account.has(statement):
            continue
        if pool in source.roles.pools:
            account.taken(statement, "nodes")
        elif not at_run_time(statement):
            account.given_up(statement, f"backend {statement.arguments[0]}: not part of the farm")
    for statement in main.all("acl"):
        if statement.arguments[:1] and statement.arguments[0] in unneeded - needed and not account.has(statement):
            account.given_up(statement, "only pools outside the farm use it")


def _other(account: Account, section: Statement) -> None:
    if section.name in {"userlist", "peers", "mailers", "cache", "http-errors", "ring", "program", "log-forward"}:
        account.given_up_all(section.walk(), f"nlbgen's configuration has no section {section.name}")


def _close(account: Account, spec: Spec, *, own: bool) -> None:
    """Account for the lines that nlbgen writes itself for this spec, and for those that the catalogue knows.

    Conditions (`.if`, `.endif`) are only known in nlbgen's own file.
    """
    try:
        rendered = render(generator("haproxy"), spec)
    except UnsupportedError:
        rendered = []
    written = {
        tuple(word.text for word in statement.words)
        for file in rendered
        if file.main
        for statement in reader.read_text(file.content.decode("utf-8"), "").walk()
    }
    for statement in list(account.open()):
        if (own or not statement.name.startswith(".")) and tuple(word.text for word in statement.words) in written:
            account.implied(statement, "nlbgen writes the same line")
    catalog.account_for(account)


def _notes(source: Source) -> list[str]:
    """What to know about the choice of the frontend and about values that are guessed."""
    notes = []
    others = [one for one in source.roles.others if one.is_frontend and source.model.targets(one)]
    if others and source.made_by_nlbgen is None:
        names = ", ".join(f"{one.name} ({one.location})" for one in others)
        notes.append(f"the farm is {source.roles.main.name}, which has the most servers; not taken over: {names}")
    if source.made_by_nlbgen is None:
        notes.append("the file does not contain the version of HAProxy: verify haproxy.version")
        if "frontend.tls.key" in source.values:
            notes.append("nlbgen expects the private key in the file of the certificate: verify frontend.tls.key")
    return notes
