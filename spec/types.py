"""The value types of the spec: the syntax, the bounds and the error messages of each.

Every text type allows a closed list of characters, so that no text of a spec can break out of a quoted text in a
configuration. A vendor's quoting refuses characters that the type allows and the vendor cannot quote
([`nlbgen.generators.base`][]).
"""

import re
from collections.abc import Callable
from typing import Annotated, Final
from urllib.parse import unquote

from ..core.wording import NotTextError, one_of, shown, text_of
from . import addresses
from .schema import Reads, nearest
from .strings.endpoints import Endpoint
from .units import DURATION, SIZE, Duration, Options, Size, Version


def _duration(low: str, high: str) -> Reads:
    least, most = Duration.of(low), Duration.of(high)
    bounds = f"{least} to {most}"

    def parse(value: object) -> Duration:
        if isinstance(value, float):
            raise ValueError(f"{shown(value)} has no unit: write a whole number with a unit, such as 5s or 500ms")
        if isinstance(value, int) and not isinstance(value, bool):
            raise ValueError(f"{value} has no unit: write {value}s for seconds or {value}ms for milliseconds")
        duration = Duration.of(text_of(value, "a duration"))
        if not least <= duration <= most:
            raise ValueError(f"{value} is out of range: {bounds}")
        return duration

    schema = {"type": "string", "pattern": f"^{DURATION.pattern}$", "examples": ["5s"]}
    return Reads(parse, schema, bounds=bounds)


def _size(low: str, high: str) -> Reads:
    least, most = Size.of(low), Size.of(high)
    bounds = f"{least} to {most}"

    def parse(value: object) -> Size:
        if isinstance(value, float):
            raise ValueError(f"{shown(value)} has no unit: write a whole number with a unit, such as 300MB or 512KB")
        if isinstance(value, int) and not isinstance(value, bool):
            raise ValueError(f"{value} has no unit: write {value}MB for megabytes or {value}B for bytes")
        size = Size.of(text_of(value, "a size"))
        if not least <= size <= most:
            raise ValueError(f"{value} is out of range: {bounds}")
        return size

    schema = {"type": "string", "pattern": f"^{SIZE.pattern}$", "examples": ["300MB"]}
    return Reads(parse, schema, bounds=bounds)


def _number_fix(value: object) -> str:
    """How to write a value that is no whole number; empty for a number, which is out of range."""
    if isinstance(value, int) and not isinstance(value, bool):
        return ""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return ": remove the quotes"
    return ": write a whole number in digits"


def _integer(what: str, low: int, high: int) -> Reads:
    bounds = f"{low} to {high}" if low < high else str(low)

    def parse(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(f"{shown(value)} is not {what} ({bounds}){_number_fix(value)}")

    return Reads(parse, {"type": "integer", "minimum": low, "maximum": high}, bounds=bounds)


def _pattern(what: str, pattern: str, rule: str, *, example: str, longest: int = 255) -> Reads:
    compiled = re.compile(pattern)

    def parse(value: object) -> str:
        if isinstance(value, dict | list):
            raise ValueError(f"{shown(value)} is not {what}: {rule}, for example {example}")
        text = text_of(value, what)
        if len(text) > longest or not compiled.fullmatch(text):
            raise ValueError(f"{shown(text)} is not {what}: {rule}, for example {example}")
        return text

    return Reads(parse, {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": longest, "examples": [example]})


_DEVICE: Final = r"(?:[Cc][Oo][Nn]|[Pp][Rr][Nn]|[Aa][Uu][Xx]|[Nn][Uu][Ll]|(?:[Cc][Oo][Mm]|[Ll][Pp][Tt])[0-9])(?:\..*)?"
"""Device names of Windows, with any text after the first dot (Microsoft, "Naming Files, Paths, and Namespaces")."""


def _file_name(how: Reads) -> Reads:
    """The type of names that files and folders get, also on Windows."""
    device = re.compile(_DEVICE)

    def parse(value: object) -> str:
        text = str(how.parse(value))
        if device.fullmatch(text):
            raise ValueError(
                f"{shown(text)} is a device name on Windows and cannot be a file name: choose another name"
            )
        if text.endswith("."):
            raise ValueError(f"{shown(text)} ends with a dot, which Windows drops from file names: remove the dot")
        return text

    return Reads(parse, {**how.schema, "not": {"pattern": rf"^{_DEVICE}$|\.$"}})


def _unshown(how: Reads, message: str) -> Reads:
    """The type of a value that may be a secret written by mistake: errors do not show it."""

    def parse(value: object) -> str:
        try:
            return str(how.parse(value))
        except ValueError:
            raise ValueError(message) from None

    return Reads(parse, how.schema)


_DETAILS_KEY: Final = re.compile(r"detailskey\s*=", re.IGNORECASE)


def _without_key(how: Reads) -> Reads:
    """The type of a path that must not contain the value of HealthCheck.DetailsKey: the error does not show it."""

    def parse(value: object) -> str:
        if isinstance(value, str) and _DETAILS_KEY.search(unquote(value)):
            raise ValueError(
                "the path contains the value of HealthCheck.DetailsKey, which is a secret: "
                "remove detailsKey from the path, and write a reference to the value under "
                "balancer.health: `details_key: {env: NAME}`"
            )
        return str(how.parse(value))

    letters = "".join(f"[{char.upper()}{char}]" for char in "detailskey")
    return Reads(parse, {**how.schema, "not": {"pattern": f"{letters}="}})


def _choice(*names: str) -> Reads:
    listed, folded = one_of(names), {name.casefold(): name for name in names}

    def parse(value: object) -> str:
        if isinstance(value, str) and (name := folded.get(value.casefold())):
            return name
        near = nearest(value, names) if isinstance(value, str) else None
        raise ValueError(f"{shown(value)} is not {listed}" + (f" (did you mean {near}?)" if near else ""))

    return Reads(parse, {"type": "string", "enum": list(names)})


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{shown(value)} is not true or false")


def _printable(what: str, longest: int = 255) -> Callable[[object], str]:
    def parse(value: object) -> str:
        text = text_of(value, what)
        for position, char in enumerate(text):
            if not char.isprintable():
                code = f"U+{ord(char):04X}"
                raise ValueError(f"{shown(text)} contains {code} at character {position + 1}, which is not printable")
        if not text or text != text.strip():
            raise ValueError(f"{shown(text)} is not {what}: it is empty, or it begins or ends with a space")
        if len(text) > longest:
            raise ValueError(f"{shown(text)} is not {what}: it is longer than {longest} characters")
        return text

    return parse


def _posix_path(value: object) -> str:
    text = _printable("a path", 1024)(value)
    if not text.startswith("/"):
        raise ValueError(
            f"{shown(text)} is not an absolute path on the balancer: an absolute path starts with /, for example "
            "/etc/ssl/x.pem"
        )
    return text


def _posix_file(value: object) -> str:
    text = _posix_path(value)
    if text.endswith("/"):
        raise ValueError(f"{shown(text)} is a folder: write the path of the file, for example /etc/ssl/x.pem")
    return text


_SITE: Final = re.compile(r'[?:@&=,/\\<>"*|%$`]')
"""IIS Manager refuses most of these in a site's name (David Cox, "Why does the IIS7 UI limit certain characters?").
`%`, `$` and the backtick have no quoting that holds in the command prompt and in PowerShell."""


def _site(value: object) -> str:
    text = _printable("the name of an IIS site", 255)(value)
    if found := _SITE.search(text):
        raise ValueError(
            f"{shown(text)} cannot be used as the name of an IIS site, because it contains {found[0]}: correct the "
            "name; if the site has this name in IIS, rename the site there first"
        )
    return text


def _windows_path(value: object) -> str:
    text = _printable("a Windows path", 248)(value)
    if not re.match(r"(?:[A-Za-z]:\\|\\\\[^\\]+\\[^\\]+)", text):
        raise ValueError(
            f"{shown(text)} is not an absolute Windows path, for example C:\\Program Files\\UiPath\\Orchestrator"
        )
    body = text[2:]
    if found := re.search(r'[<>:"|?*/]', body):
        raise ValueError(f"{shown(text)} is not a Windows path: {found[0]} is not allowed in a file name")
    return text


def _url(value: object) -> str:
    text = text_of(value, "a URL")
    if not re.fullmatch(r"https://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/?", text):
        raise ValueError(
            f"{shown(text)} is not the https URL of a device: write https://, the host and its port, without user, "
            "path or query, for example https://zen.corp.example:444"
        )
    return text.rstrip("/")


def _version(value: object) -> Version:
    if isinstance(value, float):
        raise NotTextError(
            "a version must be a string: for example, YAML reads 2019.10 as the number 2019.1", needs_source=True
        )
    return Version(text_of(value, "a version"))


def _endpoint(value: object) -> Endpoint:
    text = text_of(value, "an endpoint")
    example = "write HOST:PORT, as in redis-1.corp.example:6379 or [2001:db8::7]:6379"
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::([0-9]{1,5}))?", text)
    host, port = (text, "") if match is None else (match[1] or match[2] or "", match[3] or "")
    # A URL can hold a password.
    what = "a URL" if "/" in text or "@" in text else shown(text)
    try:
        address = addresses.node_address(host)
    except ValueError as error:
        reason = example if what == "a URL" else f"{error}; {example}"
        raise ValueError(f"{what} is not an endpoint: {reason}") from None
    if match is None:
        raise ValueError(f"{what} is not an endpoint: an IPv6 address needs brackets; {example}")
    if port and not 1 <= int(port) <= 65535:
        raise ValueError(f"{shown(text)} is not an endpoint: a port is 1 to 65535")
    return Endpoint(address, int(port or 0))


_OPTION: Final = re.compile(r"[A-Za-z$][A-Za-z0-9 _]{0,59}")


def _options(value: object) -> Options:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping of keywords, as in {connectTimeout: 15000}")
    pairs = []
    for key, part in value.items():
        if not isinstance(key, str) or not _OPTION.fullmatch(key):
            raise ValueError(f"{shown(key)} is not a keyword of a connection string")
        if part is None or isinstance(part, dict | list | float):
            raise ValueError(
                f"{key}: {shown(part)} is not a value: write a text in quotes, a whole number, true or false"
            )
        text = str(part)
        if len(text) > 255 or not text.isprintable() or text != text.strip():
            raise ValueError(
                f"{key}: the value has a character that is not printable, is too long, or begins or ends with a space"
            )
        pairs.append((key, text))
    return Options(pairs)


def _plain(parse: Callable[[object], object], **schema: object) -> Reads:
    return Reads(parse, {"type": "string", **schema})


def _recipient(value: object) -> str:
    from .recipients import EXPECTED, recipient

    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not {EXPECTED}")
    return recipient(value)


def _verify(value: object) -> str | bool:
    if value is False:
        return False
    if value is True:
        raise ValueError(
            "true is not a CA: write the path of the CA's certificate, or false to disable the verification"
        )
    return _posix_path(value)


Flag = Annotated[bool, Reads(_flag, {"type": "boolean"})]
Port = Annotated[int, _integer("a TCP port", 1, 65535)]
Count = Annotated[int, _integer("a whole number", 1, 100)]
Weight = Annotated[int, _integer("a weight", 1, 256)]
HttpStatus = Annotated[int, _integer("an HTTP status", 200, 599)]
RouterId = Annotated[int, _integer("a VRRP router id", 1, 255)]
Connections = Annotated[int, _integer("a number of connections", 100, 1_000_000)]
RobotRate = Annotated[int, _integer("a number of robots for each second", 1, 10_000)]
Robots = Annotated[int, _integer("a number of robots", 1, 500_000)]
OptionalConnections = Annotated[int, _integer("a number of connections", 0, 1_000_000)]
OpenFiles = Annotated[int, _integer("a number of open files", 1024, 4_000_000)]

ShortTime = Annotated[Duration, _duration("100ms", "1h")]
"""A timeout or an interval of network operations."""
LongTime = Annotated[Duration, _duration("1s", "24d")]
"""A timeout of idle connections; HAProxy allows less than 2^31 ms, which is under 25 days."""
OptionalTime = Annotated[Duration, _duration("0s", "1h")]
"""A duration; `0s` switches the feature off."""
BodySize = Annotated[Size, _size("1KB", "100GB")]

FarmName = Annotated[
    str,
    _file_name(
        _pattern(
            "a name for a farm",
            r"[A-Za-z][A-Za-z0-9_-]{0,39}",
            "write a letter, then up to 39 letters, digits, hyphens and underscores",
            example="orchestrator-prod",
        )
    ),
]
PartitionName = Annotated[
    str,
    _pattern(
        "a partition",
        r"[A-Za-z][A-Za-z0-9_.-]{0,63}",
        "write a letter, then up to 63 letters, digits, dots, hyphens and underscores",
        example="Common",
    ),
]
BigipPath = Annotated[
    str,
    _pattern(
        "the path of an object on a BIG-IP",
        r"(?:/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}){2,4}",
        "write its partition and its name, each after a slash",
        example="/Common/site.crt",
    ),
]
NodeName = Annotated[
    str,
    _file_name(
        _pattern(
            "a name for a node",
            r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}",
            "write up to 40 letters, digits, dots, hyphens and underscores",
            example="orch-1",
        )
    ),
]
HostName = Annotated[str, _plain(addresses.host_name, format="hostname")]
NodeAddress = Annotated[str, _plain(addresses.node_address)]
RedisEndpoint = Annotated[Endpoint, _plain(_endpoint, examples=["redis-1.corp.example:6379"])]
StringOptions = Annotated[
    Options,
    Reads(_options, {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}),
]
"""Options of a connection string; booleans become `True` and `False`, as .NET writes them."""
ListenAddress = Annotated[str, _plain(addresses.listen_address)]
InterfaceAddress = Annotated[str, _plain(addresses.interface_address)]
InterfaceName = Annotated[
    str,
    _pattern("a network interface", r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", "write up to 15 characters", example="eth0"),
]
UserName = Annotated[
    str,
    _pattern(
        "a user of the system", r"[a-z_][a-z0-9_-]{0,31}", "use lower-case letters, digits, _ and -", example="www-data"
    ),
]
RedisUser = Annotated[
    str,
    _pattern(
        "a user of Redis",
        r"[A-Za-z0-9_.@-]+",
        "letters, digits, underscores, dots, hyphens and @",
        example="orchestrator",
        longest=64,
    ),
]
MasterName = Annotated[
    str,
    _pattern(
        "a name for a master",
        r"[A-Za-z0-9_.-]+",
        "letters, digits, underscores, dots and hyphens",
        example="mymaster",
        longest=64,
    ),
]
PosixPath = Annotated[str, _plain(_posix_file)]
WindowsPath = Annotated[str, _plain(_windows_path)]
CaPath = Annotated[str | bool, Reads(_verify, {"anyOf": [{"type": "string"}, {"const": False}]})]
Text = Annotated[str, _plain(_printable("a text"))]
SiteName = Annotated[str, _plain(_site, examples=["UiPath Orchestrator"])]
FilePath = Annotated[str, Reads(_printable("a path", 1024), {"type": "string"}, is_file=True)]
"""A file that nlbgen reads, relative to the spec's folder."""
DeviceUrl = Annotated[str, _plain(_url)]
EnvName = Annotated[
    str,
    _unshown(
        _pattern("", r"[A-Za-z_][A-Za-z0-9_]*", "", example="NLBGEN_KEY"),
        "is not the name of an environment variable: use letters, digits and _, for example NLBGEN_KEY",
    ),
]
SecretFile = Annotated[
    str, _unshown(_plain(_printable("", 1024)), "is not the path of a file, for example /etc/nlbgen/f5.secret")
]
ServicePath = Annotated[
    str,
    _without_key(
        _pattern(
            "a path of the site",
            r"/[A-Za-z0-9._~%/?&=+:@,-]*",
            "it starts with / and has only letters, digits and ._~%/?&=+:@,-",
            example="/api/status",
        )
    ),
]
PathPrefix = Annotated[
    str,
    _pattern(
        "a path prefix of the site",
        r"/[A-Za-z0-9._~/-]+",
        "it starts with / and has only letters, digits and ._~/-",
        example="/signalr",
    ),
]
HealthPath = Annotated[
    str,
    _without_key(
        _pattern(
            "`auto` or a path of the site",
            r"auto|/[A-Za-z0-9._~%/?&=+:@,-]*",
            "a path starts with / and has only letters, digits and ._~%/?&=+:@,-",
            example="/api/status",
        )
    ),
]
ProblemId = Annotated[
    str,
    _pattern("an id", r"[a-z0-9]+(?:-[a-z0-9]+)*", "write lower-case words with hyphens", example="redis-on-node"),
]
AgeRecipient = Annotated[
    str, _plain(_recipient, examples=["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"])
]
ProgramVersion = Annotated[Version, _plain(_version, examples=["2.6"])]
SchemaVersion = Annotated[int, _integer("a version of the spec that this nlbgen reads", 1, 1)]

Algorithm = Annotated[str, _choice("least-connections", "round-robin", "source")]
MaintenanceState = Annotated[str, _choice("serving", "closed", "releasing")]
AllFailed = Annotated[str, _choice("serve", "refuse")]
Affinity = Annotated[str, _choice("auto", "none", "cookie", "source", "signalr")]
NodeState = Annotated[str, _choice("up", "drain", "down", "backup")]
TlsMode = Annotated[str, _choice("terminate", "bridge", "passthrough", "none")]
TlsProfile = Annotated[str, _choice("modern", "intermediate")]
SessionStore = Annotated[str, _choice("sqlserver", "custom", "inproc")]
SignalrStore = Annotated[str, _choice("redis", "sqlserver", "inproc")]
SignalrKeys = Annotated[str, _choice("auto", "server-port", "connection-string")]
ZenProduct = Annotated[str, _choice("zen", "zevenet", "skudonet", "relianoid")]
F5Api = Annotated[str, _choice("rest", "as3", "soap")]
