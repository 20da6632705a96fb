"""The address and the user of a BIG-IP, from the spec."""

from pathlib import Path
from typing import NamedTuple

from ...core.errors import SpecError
from ...spec.load import Spec
from ...spec.references import SecretValue, resolve
from ..http import Endpoint


class Login(NamedTuple):
    """A device and its user; only the request that logs in reveals the password."""

    host: str
    port: int
    user: str
    password: SecretValue
    provider: str
    ca: str | None
    read_seconds: float

    @property
    def name(self) -> str:
        """The name of the device in messages."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"

    @property
    def base(self) -> str:
        """The URL before all paths."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"

    @property
    def endpoint(self) -> Endpoint:
        """The address and the timeouts for the HTTP client."""
        return Endpoint(self.name, self.ca, self.read_seconds, "f5.ca", "f5.host, f5.port", "f5.timeout")


def login(spec: Spec) -> Login:
    """Read the device and its user from the spec; raises SpecError if a key is missing."""
    f5 = spec.farm.f5
    missing = [name for name, value in (("host", f5.host), ("password", f5.password)) if value is None]
    if missing or f5.host is None or f5.password is None:
        hint = "a push needs f5.host and f5.password: {env: NAME}"
        raise SpecError([spec.problem(("f5", name), "is missing", hint) for name in missing])
    folder = Path(spec.name).parent
    ca = None if f5.ca is None else str(folder / f5.ca)
    if ca is not None and not Path(ca).is_file():
        raise SpecError(
            [spec.problem(("f5", "ca"), f"{ca} does not exist", "write the path of a PEM file with the CA")]
        )
    return Login(f5.host, f5.port, f5.user, resolve(f5.password, folder), f5.provider, ca, int(f5.timeout) / 1000)
