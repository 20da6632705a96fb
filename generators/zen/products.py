"""Which product of the Zen family is which: engine, dialect, folders, and how its farm is balanced.

Source: trials on each product's own engine and appliance code; `docs/vendors/zen.md` has the table.
"""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from ...spec.model import Farm
from ...spec.units import Version
from .check.formats import Dialect

Way = Literal["http", "l4-file", "l4-api"]
"""An HTTP farm as a file, an L4xNAT farm as a file, or an L4xNAT farm by calls of the API."""


class Generation(NamedTuple):
    """One stretch of versions of one product that behave alike."""

    title: str
    oldest: Version
    below: Version
    dialect: Dialect
    root: str
    """The folder of the appliance's own software."""
    websockets: bool
    """Whether its HTTP farms pass WebSockets on."""
    api: str
    """The path of its API at the device's URL; empty where it has none."""
    header: str = "ZAPI_KEY"
    """The request header that carries the API key."""
    engine: str = ""
    """The program that reads its farm files; with `-c -f FILE` it checks one. Empty where its place is not known."""
    refusal: str = ""
    """Why nothing is made for it; empty where something is."""

    @property
    def config(self) -> str:
        """The folder of the farm files."""
        return f"{self.root}/config"

    @property
    def certificates(self) -> str:
        """The folder of the PEM files."""
        return self.config if self.dialect == "zen3" else f"{self.config}/certificates"

    @property
    def dh_parameters(self) -> str:
        """The file of Diffie-Hellman parameters that comes with the engine."""
        return f"{self.root}/app/{'zproxy' if self.dialect == 'zproxy-ng' else 'pound'}/etc/dh2048.pem"

    @property
    def suffix(self) -> str:
        """How a farm file's name ends, before `.cfg`."""
        return "pound" if self.dialect == "zen3" else "proxy"

    @property
    def api_version(self) -> str:
        """The version of its API, as in `v4.0`."""
        return self.api.split("/")[2] if self.api else ""


NEVER: Final = Version("99999")
_ZEVENET: Final = "/usr/local/zevenet"
_ZEN: Final = "/usr/local/zenloadbalancer"
_OLD_ENGINE: Final = f"{_ZEN}/app/pound/sbin/pound"
GENERATIONS: Final = {
    "zen": (Generation("Zen", Version("3"), Version("4"), "zen3", _ZEN, websockets=False, api="", engine=_OLD_ENGINE),),
    "zevenet": (
        Generation("Zevenet", Version("4"), Version("5"), "zen3", _ZEN, websockets=False, api="", engine=_OLD_ENGINE),
        Generation(
            "Zevenet", Version("5"), Version("5.10"), "zen3", _ZEVENET, websockets=False, api="/zapi/v3.1/zapi.cgi"
        ),
        Generation(
            "Zevenet",
            Version("5.10"),
            Version("5.13"),
            "zproxy",
            _ZEVENET,
            websockets=True,
            api="/zapi/v4.0/zapi.cgi",
            refusal=(
                "its zproxy corrupts responses, answers 503 for nodes with self-signed certificates, and before 0.3.5 "
                "does not open the WebSockets of Firefox"
            ),
        ),
        Generation(
            "Zevenet", Version("5.13"), Version("6"), "zproxy-ng", _ZEVENET, websockets=True, api="/zapi/v4.0/zapi.cgi"
        ),
    ),
    "skudonet": (
        Generation(
            "Skudonet",
            Version("7"),
            NEVER,
            "pound",
            "/usr/local/skudonet",
            websockets=True,
            api="/zapi/v4.0/zapi.cgi",
            engine="/usr/local/skudonet/app/pound/sbin/pound",
        ),
    ),
    "relianoid": (
        Generation(
            "Relianoid",
            Version("7"),
            NEVER,
            "pound",
            "/usr/local/relianoid",
            websockets=True,
            api="/api/v4.0/api.cgi",
            header="API_KEY",
            engine="/usr/local/relianoid/app/pound/sbin/pound",
        ),
    ),
}
"""Each product's generations, the oldest first."""
NEWEST: Final = {
    "zen": Version("3.10"),
    "zevenet": Version("5.13"),
    "skudonet": Version("7.9"),
    "relianoid": Version("7.9"),
}
"""The newest known version of each product; a newer one of the same generation can be accepted."""


class Edition(Version):
    """A version of one product, and how it balances this farm; it compares as its version does."""

    __slots__ = ("classic", "generation", "number", "passthrough", "product", "way")

    def __init__(self, product: str, version: Version, *, passthrough: bool, classic: bool = False) -> None:
        """`classic`: whether Orchestrator is older than 2020.10 and has SignalR 2."""
        super().__init__(version.text)
        self.product: Final = product
        self.passthrough: Final = passthrough
        self.classic: Final = classic
        self.number: Final = version
        self.generation: Final = generation(product, version)
        self.way: Final[Way] = _way(self.generation, passthrough=passthrough)

    @property
    def zproxy(self) -> bool:
        """Whether the farm is an HTTP farm of zproxy 0.9, the engine of Zevenet 5.13."""
        return self.way == "http" and self.generation is not None and self.generation.dialect == "zproxy-ng"

    @property
    def checks_services(self) -> bool:
        """Whether one check can request several services: older appliances fill in HOST and PORT only once."""
        return self.generation is not None and self.generation.dialect != "zen3"

    @property
    def layer4(self) -> bool:
        """Whether the farm is an L4xNAT farm, which sees connections and no HTTP."""
        return self.way != "http"

    def __str__(self) -> str:
        return f"{self.generation.title if self.generation else self.product.capitalize()} {self.number}"

    def successors(self) -> Iterator["Edition"]:
        """The first version of every generation that is as new as this one or newer, for the same kind of farm.

        A farm of classic SignalR is not sent to zproxy, whose HTTP farms break its WebSockets.
        """
        mine = self.generation
        for product, generations in GENERATIONS.items():
            for other in generations:
                if mine is not None and other != mine and other.oldest >= mine.oldest and not other.refusal:
                    found = Edition(product, other.oldest, passthrough=self.passthrough, classic=self.classic)
                    if not (found.classic and found.zproxy):
                        yield found


def generation(product: str, version: Version) -> Generation | None:
    """The generation of a product's version; None for a version that was never made."""
    return next((found for found in GENERATIONS[product] if found.oldest <= version < found.below), None)


def _way(found: Generation | None, *, passthrough: bool) -> Way:
    if found is not None and not found.websockets:
        return "l4-api" if found.api else "l4-file"
    return "l4-api" if passthrough else "http"


def edition(farm: Farm) -> Edition:
    """What the farm's spec names."""
    passthrough = farm.frontend.tls.mode == "passthrough"
    classic = not farm.orchestrator.is_core
    return Edition(farm.zen.product, farm.zen.version, passthrough=passthrough, classic=classic)
