"""The view of INSTALL.md: the steps of a manual installation, with the commands and folders of the product.

Sources: the appliances' own settings for where their programs and files are (Zen 3.10, Relianoid 7.9, Skudonet 7), and
trials on their code. Where a path is not known, the step describes what to look for.
"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from ...spec.model import Farm
from ..base import Limitation
from .check.formats import GUARDIAN_FILE, MARKS_FILE
from .notes import notes
from .objects import HttpFarm, L4Farm, Objects
from .products import Edition, Generation

APPENDED: Final = frozenset({GUARDIAN_FILE, MARKS_FILE})
"""Files that are appended to the appliance's own files."""
BACKUP: Final = "/root/before-nlbgen.tar.gz"


class Step(NamedTuple):
    """One step: what to do, and its command lines."""

    text: str
    commands: tuple[str, ...] = ()


def install(
    farm: Farm,
    edition: Edition,
    generation: Generation,
    made: Objects,
    limitations: Iterable[Limitation],
    names: Sequence[str],
) -> dict[str, Any]:
    """The view of the template; `names` are the rendered files without INSTALL.md itself."""
    url = f"{farm.zen.api or 'https://APPLIANCE:444'}{generation.api}" if generation.api else ""
    by_api = edition.way == "l4-api"
    steps = _by_api(generation, url, names) if by_api else _by_files(farm, made, generation, url, names)
    lacks = [f"Not supported: {one.title} ({one.reason}). Instead: {one.fallback}." for one in limitations]
    return {
        "title": str(edition),
        "notes": [*notes(farm, edition, made), *lacks],
        "needs": f"The address {made.main.vip} must be configured and up on the appliance.",
        "push": _push(made, generation),
        "steps": [{"number": number, **step._asdict()} for number, step in enumerate(steps, start=1)],
        "rollback": list(_rollback(made, edition, generation, url, names)),
    }


def _push(made: Objects, generation: Generation) -> str:
    """How far `nlbgen push zen` replaces the steps; empty for a product without an API."""
    if not generation.api:
        return ""
    main = made.main
    if isinstance(main, HttpFarm) and main.affinity.kind == "cookie":
        return "The API of the Community editions refuses cookie affinity, so this farm is installed by files:"
    without = " It cannot set WSTimeOut and Strict-Transport-Security, because the API cannot set them."
    but = without if isinstance(main, HttpFarm) and generation.dialect == "pound" else ""
    return f"`nlbgen push zen` can replace these steps: it shows a plan, and rolls back if a step fails.{but} By hand:"


def _by_api(generation: Generation, url: str, names: Sequence[str]) -> Iterator[Step]:
    yield _key(generation)
    yield _send(url, names)


def _send(url: str, names: Sequence[str]) -> Step:
    calls = next(name for name in names if name.endswith("_calls.json"))
    return Step(
        f"Send the calls of `{calls}` in this order. Send each call only after the previous one returned 2xx. There is "
        "no farm file to copy, because the appliance's program nftlb writes this file:",
        _curl("METHOD", f"{url}PATH", "BODY"),
    )


def _key(generation: Generation) -> Step:
    return Step(
        f"Write `{generation.header}: KEY` as the only line of `key.header`, and make that file readable only by "
        "you. Save the certificate of the API, or of its CA, as `CA.pem`, and compare it with the one on the appliance."
    )


def _curl(method: str, url: str, body: str = "") -> tuple[str, ...]:
    first = "curl --fail --cacert CA.pem -H @key.header"
    if not body:
        return (f"{first} -X {method} {url}",)
    return (f"{first} -H 'Content-Type: application/json' \\", f"    -X {method} -d '{body}' {url}")


def _by_files(farm: Farm, made: Objects, generation: Generation, url: str, names: Sequence[str]) -> Iterator[Step]:
    main, folder = made.main, generation.config
    yield Step(
        "As root on the appliance, in the folder with these files, back up the current configuration:",
        (f"tar -czf {BACKUP} -C / {folder.removeprefix('/')}",),
    )
    if isinstance(main, HttpFarm) and main.tls:
        yield _pem(farm, main, generation)
    copied = _copied(names)
    yield Step("Copy the farm's files:", ("cp \\", *(f"    {name} \\" for name in copied), f"    {folder}/"))
    if MARKS_FILE in names:
        yield from _marks(made, folder)
    yield _guardian(made, generation, names)
    yield from _checks(generation, names)
    yield from _starts(made, generation, url)
    if made.redis is not None:
        yield _send(url, names)


def _pem(farm: Farm, main: HttpFarm, generation: Generation) -> Step:
    tls = farm.frontend.tls
    sources = " ".join(shlex.quote(source) for source in (tls.key, tls.certificate))
    target = f"{generation.certificates}/{main.certificate}"
    return Step(
        "Write key, certificate and chain into one PEM file without a passphrase, readable by root only:",
        (f"( umask 077; cat {sources} > {target} )",),
    )


def _marks(made: Objects, folder: str) -> Iterator[Step]:
    marks = made.main.marks if not isinstance(made.main, HttpFarm) else ()
    # A farm's name holds no underscore, so this does not match a farm whose name begins with this farm's name.
    own, register = f"FARM_{made.main.name}_", f"{folder}/{MARKS_FILE}"
    yield Step(
        "No other farm may use the packet marks of the nodes. This command must print nothing; if it prints a "
        f"line, write free marks (0x200 to 0x3ff) into `{made.main.name}_l4xnat.cfg` and `{MARKS_FILE}`:",
        (f"grep -E '^({'|'.join(marks)}) ' {register} | grep -v ' {own}'",),
    )
    yield Step(
        "Register the marks: otherwise the appliance assigns them again. First remove the farm's earlier lines:",
        (f"sed -i '/ {own}/d' {register}", f"cat {MARKS_FILE} >> {register}"),
    )


def _guardian(made: Objects, generation: Generation, names: Sequence[str]) -> Step:
    guardian = made.guardian
    if GUARDIAN_FILE in names:
        target = f"{generation.config}/{GUARDIAN_FILE}"
        text = (
            f"If {target} already has a section [{guardian.name}], remove that section. Then append the health check:"
        )
        return Step(text, (f"cat {GUARDIAN_FILE} >> {target}",))
    first = made.main.backends[0]
    command = guardian.command.replace("HOST", first.ip).replace("PORT", str(first.port))
    return Step(
        "Run the health check against one node. The last line must be 0. This `check_http` cannot send SNI:",
        (f"{generation.root}/app/libexec/{command}; echo $?",),
    )


def _checks(generation: Generation, names: Sequence[str]) -> Iterator[Step]:
    files = [name for name in names if name.endswith(f"_{generation.suffix}.cfg")]
    program = generation.engine or "ZPROXY"
    where = "" if generation.engine else f" (ZPROXY is the program `zproxy` below {generation.root}/app/zproxy)"
    if files:
        text = f"Check the files with the appliance's own engine{where}; each command must print `is OK`:"
        yield Step(text, tuple(f"{program} -c -f {generation.config}/{name}" for name in files))


def _starts(made: Objects, generation: Generation, url: str) -> Iterator[Step]:
    farms = [farm.name for farm in made.site_farms]
    if not generation.api:
        yield Step(
            f"Start {_listed(farms)} in the web pages under Manage > Farms. Or restart every farm of the appliance, "
            "which closes all connections:",
            ("/etc/init.d/zenloadbalancer stop", "/etc/init.d/zenloadbalancer start"),
        )
        return
    yield _key(generation)
    lines = [line for name in farms for line in _curl("PUT", f"{url}/farms/{name}/actions", '{"action": "restart"}')]
    yield Step(
        "Restart each farm with these commands, or in the web pages under Farms. Do not use `start`: the API refuses "
        "it for a changed farm.",
        tuple(lines),
    )


def _rollback(made: Objects, edition: Edition, generation: Generation, url: str, names: Sequence[str]) -> Iterator[str]:
    if edition.way == "l4-api":
        yield from _api_rollback(made.farms, generation, url)
        return
    if made.redis is not None:
        yield from _api_rollback((made.redis,), generation, url)
    yield from _files_rollback(made, generation, names)


def _api_rollback(farms: Sequence[HttpFarm | L4Farm], generation: Generation, url: str) -> Iterator[str]:
    for farm in reversed(farms):
        yield from _curl("DELETE", f"{url}/farms/{farm.name}")
    for farm in farms if generation.api_version != "v3.1" else ():
        if farm.guardian is not None:
            yield from _curl("DELETE", f"{url}/monitoring/fg/{farm.guardian.name}")


def _files_rollback(made: Objects, generation: Generation, names: Sequence[str]) -> Iterator[str]:
    yield f"# stop {_listed([farm.name for farm in made.site_farms])} in the web pages, then"
    yield f"cd {generation.config}"
    yield "rm -f \\"
    copied = _copied(names)
    yield from (f"    {name} \\" for name in copied[:-1])
    yield f"    {copied[-1]}"
    yield f"tar -xzf {BACKUP} -C /"
    yield "# then restart the farms that ran before"


def _copied(names: Sequence[str]) -> list[str]:
    """The files that are copied to the appliance's folder."""
    return [name for name in names if name not in APPENDED and not name.endswith("_calls.json")]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)
