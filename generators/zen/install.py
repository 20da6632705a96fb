"""INSTALL.md of the Zen family: what to do by hand, step by step, with the commands of the product.

Sources: the appliances' own settings for where their programs and files are (Zen 3.10, Relianoid 7.9, Skudonet 7), and
trials on their code. Where a place is not known the step says in words what to look for.
"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from ...spec.model import Farm
from ..base import Limitation
from .objects import HttpFarm, Objects
from .products import Edition, Generation

GUARDIAN_FILE: Final = "farmguardian.conf"
"""A section for the file of that name on the appliance."""
MARKS_FILE: Final = "fwmarks.conf"
"""Lines for the appliance's register of packet marks, which gives the same marks away otherwise."""
APPENDED: Final = frozenset({GUARDIAN_FILE, MARKS_FILE})
"""Files that go to the end of the appliance's own ones."""
BACKUP: Final = "/root/before-nlbgen.tar.gz"


class Part(NamedTuple):
    """A step: what it is about, and the commands; a command of several lines is several entries."""

    text: str
    commands: tuple[str, ...] = ()


def install(
    farm: Farm, edition: Edition, made: Objects, limitations: Iterable[Limitation], names: Sequence[str]
) -> dict[str, Any]:
    """What the template shows; `names` are the files that were made, without INSTALL.md itself."""
    generation = edition.generation
    if generation is None:
        raise ValueError(f"{edition} was not refused")
    url = f"{farm.zen.api or 'https://APPLIANCE:444'}{generation.api}" if generation.api else ""
    by_api = edition.way == "l4-api"
    parts = _by_api(generation, url, names) if by_api else _by_files(farm, made, generation, url, names)
    lacks = [f"It lacks '{one.title}': {one.reason}; {one.fallback}." for one in limitations]
    return {
        "title": str(edition),
        "notes": [*made.notes, *lacks],
        "needs": f"The appliance must have the address {made.main.vip}, up.",
        "push": _push(made, generation),
        "steps": [{"number": number, "part": part} for number, part in enumerate(parts, start=1)],
        "way_back": list(_api_back(made, generation, url) if by_api else _files_back(made, generation, names)),
    }


def _push(made: Objects, generation: Generation) -> str:
    """What `nlbgen push zen` can do instead; empty for a product without an API."""
    if not generation.api:
        return ""
    main = made.main
    if isinstance(main, HttpFarm) and main.affinity.kind == "cookie":
        return "The API of the Community editions refuses affinity by cookie, so this farm is made by files:"
    without = ", but for WSTimeOut and Strict-Transport-Security, which its API does not have"
    but = without if isinstance(main, HttpFarm) and generation.dialect == "pound" else ""
    return f"`nlbgen push zen` does all of this, with a plan first, and takes back what fails{but}. By hand:"


def _by_api(generation: Generation, url: str, names: Sequence[str]) -> Iterator[Part]:
    calls = next(name for name in names if name.endswith("_calls.json"))
    yield _key(generation)
    yield Part(
        f"Send each call of `{calls}` in its order; each must answer 2xx before the next one is sent. The farm's file "
        "belongs to nftlb, so there is none to copy:",
        _curl("METHOD", f"{url}PATH", "BODY"),
    )


def _key(generation: Generation) -> Part:
    text = (
        f"Write `{generation.header}: KEY` as the one line of `key.header`, readable for you alone, and save the API's "
    )
    return Part(f"{text}own certificate, or its CA's, as `CA.pem`, after comparing it with the appliance.")


def _curl(method: str, url: str, body: str = "") -> tuple[str, ...]:
    first = "curl --fail --cacert CA.pem -H @key.header"
    if not body:
        return (f"{first} -X {method} {url}",)
    return (f"{first} -H 'Content-Type: application/json' \\", f"    -X {method} -d '{body}' {url}")


def _by_files(farm: Farm, made: Objects, generation: Generation, url: str, names: Sequence[str]) -> Iterator[Part]:
    main, folder = made.main, generation.config
    yield Part(
        "As root on the appliance, with these files in the current folder, keep what is there:",
        (f"tar -czf {BACKUP} -C / {folder.removeprefix('/')}",),
    )
    if isinstance(main, HttpFarm) and main.tls:
        yield _pem(farm, main, generation)
    copied = [name for name in names if name not in APPENDED]
    yield Part("Copy the farm's files:", ("cp \\", *(f"    {name} \\" for name in copied), f"    {folder}/"))
    if MARKS_FILE in names:
        yield from _marks(made, folder)
    yield _guardian(made, generation, names)
    yield from _checks(generation, names)
    yield from _starts(made, generation, url)


def _pem(farm: Farm, main: HttpFarm, generation: Generation) -> Part:
    tls = farm.frontend.tls
    sources = " ".join(shlex.quote(source) for source in (tls.key, tls.certificate))
    target = f"{generation.certificates}/{main.certificate}"
    text = (
        "Put key, certificate and chain, in one PEM without a passphrase, where the farm looks for it, for root alone:"
    )
    return Part(text, (f"( umask 077; cat {sources} > {target} )",))


def _marks(made: Objects, folder: str) -> Iterator[Part]:
    marks = made.main.marks if not isinstance(made.main, HttpFarm) else ()
    # No farm's name holds an underscore: this is this farm's alone, and not that of one whose name begins so.
    own, register = f"FARM_{made.main.name}_", f"{folder}/{MARKS_FILE}"
    yield Part(
        "No other farm may have the marks of the nodes. This must print nothing; where it prints a line, put free "
        f"marks (0x200 to 0x3ff) into `{made.main.name}_l4xnat.cfg` and `{MARKS_FILE}`:",
        (f"grep -E '^({'|'.join(marks)}) ' {register} | grep -v ' {own}'",),
    )
    yield Part(
        "Register them, or the appliance gives them away again; what the farm had before goes:",
        (f"sed -i '/ {own}/d' {register}", f"cat {MARKS_FILE} >> {register}"),
    )


def _guardian(made: Objects, generation: Generation, names: Sequence[str]) -> Part:
    guardian = made.main.guardian
    if guardian is None:
        raise ValueError("the main farm is checked")
    if GUARDIAN_FILE in names:
        target = f"{generation.config}/{GUARDIAN_FILE}"
        text = f"Append the check. Where {target} has a section [{guardian.name}] already, remove that one first:"
        return Part(text, (f"cat {GUARDIAN_FILE} >> {target}",))
    first = made.main.backends[0]
    command = guardian.command.replace("HOST", first.ip).replace("PORT", str(first.port))
    return Part(
        "Try the check on a node. It must end in 0. It asks without SNI, because this `check_http` is older than that:",
        (f"{generation.root}/app/libexec/{command}; echo $?",),
    )


def _checks(generation: Generation, names: Sequence[str]) -> Iterator[Part]:
    files = [name for name in names if name.endswith(f"_{generation.suffix}.cfg")]
    program = generation.engine or "ZPROXY"
    where = "" if generation.engine else f" (ZPROXY is the program `zproxy` below {generation.root}/app/zproxy)"
    if files:
        text = f"Have the appliance's own engine check what it will read{where}; each must say `is OK`:"
        yield Part(text, tuple(f"{program} -c -f {generation.config}/{name}" for name in files))


def _starts(made: Objects, generation: Generation, url: str) -> Iterator[Part]:
    farms = [farm.name for farm in made.farms]
    if not generation.api:
        yield Part(
            f"Start {_listed(farms)} in the web pages under Manage > Farms; or restart every farm of the appliance, "
            "which ends all connections:",
            ("/etc/init.d/zenloadbalancer stop", "/etc/init.d/zenloadbalancer start"),
        )
        return
    yield _key(generation)
    lines = [line for name in farms for line in _curl("PUT", f"{url}/farms/{name}/actions", '{"action": "restart"}')]
    text = (
        "Restart each farm, here or in the web pages under Farms. Never `start` it: a farm with changes refuses that."
    )
    yield Part(text, tuple(lines))


def _api_back(made: Objects, generation: Generation, url: str) -> Iterator[str]:
    for farm in reversed(made.farms):
        yield from _curl("DELETE", f"{url}/farms/{farm.name}")
    if made.main.guardian is not None and generation.api_version != "v3.1":
        yield from _curl("DELETE", f"{url}/monitoring/fg/{made.main.guardian.name}")


def _files_back(made: Objects, generation: Generation, names: Sequence[str]) -> Iterator[str]:
    yield f"# stop {_listed([farm.name for farm in made.farms])} in the web pages, then"
    yield f"cd {generation.config}"
    yield "rm -f \\"
    copied = [name for name in names if name not in APPENDED]
    yield from (f"    {name} \\" for name in copied[:-1])
    yield f"    {copied[-1]}"
    yield f"tar -xzf {BACKUP} -C /"
    yield "# and restart what ran before"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)
