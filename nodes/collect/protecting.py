"""The rules by which `collect-node.ps1` replaces secrets, in Python: the data of the script, and its test vector.

The script and this module do the same. The script compares itself with the vector that this module computes before it
reads any file. Only what is listed here as plain stays: every other value of a file, every comment and every text
becomes a pseudonym or blanks. A pseudonym is an HMAC-SHA-256 under the operator's key in the form of the value (hex
digits, GUID, base64 of the same length), so that an audit sees the same forms, and equal values stay equal.
"""

import base64
import hmac
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Final, Literal

from ...spec.strings import redis_clients, sql_clients

Kind = Literal["plain", "url", "storage", "sql", "redis", "key"]
Pseudonym = Callable[[str], str]

_SIGNING: Final = "AppSettings:SigningCredentialSettings:"
KINDS: Final[tuple[tuple[str, Kind], ...]] = (
    (r"LoadBalancer\.(Enabled|UseSqlServer|UseRedis|DisableBackgroundJobs|SignalR\.UseRedisScaleout)", "plain"),
    (r"LoadBalancer\.Redis\.(Server|Port)", "plain"),
    (r"(quartz\.jobStore\.clustered|NuGet\.(EnableRedisNodeCoordination|Repository\.Type))", "plain"),
    (r"(EncryptionKeyPerTenant\.Enabled|Storage\.Type|ASPNETCORE_ENVIRONMENT|DOTNET_ENVIRONMENT)", "plain"),
    (r"EncryptionSettings:MultiTenantEncryptionKeyProvider", "plain"),
    (rf"{_SIGNING}(StoreLocation|ValidationKeys)(:[0-9]+)?(:StoreLocation)?:(Location|Name|NameType)", "plain"),
    (r"(.+:)?Storage[^:]*:(.+:)?Type", "plain"),
    (r"IdentityServer\.Integration\.Authority|ResourceCatalogService\.ServiceURL|AcceptedRootUrls", "url"),
    (r"ExternalAuth\.System\.OpenIdConnect\.(Authority|RedirectUri|PostLogoutRedirectUri)", "url"),
    (r"AppSettings:(IdentityServerAddress|OrchestratorUrl)", "url"),
    (r"Storage\.Location|NuGet\.(Packages|Activities)\.Path|packagesPath|(.+:)?Storage[^:]*:(.+:)?Location", "storage"),
    (r".*Redis[^:]*ConnectionString|ConnectionStrings:[^:]*Redis[^:]*", "redis"),
    (r"ConnectionStrings:[^:]+", "sql"),
)
"""Names of settings, in any case, with the kind of their values; the first one decides, and the rest is a key."""

PLAIN_ATTRIBUTES: Final = frozenset(
    {
        *("allowcustomsqldatabase", "applicationname", "compatibilitymode", "configbuilders"),
        *("configprotectionprovider", "configsource", "connectiontimeoutinmilliseconds", "cookieless", "cookiename"),
        *("customprovider", "databaseid", "decryption", "file", "host", "inheritinchildapplications", "key", "mode"),
        *("name", "operationtimeoutinmilliseconds", "path", "port", "providername", "retrytimeoutinmilliseconds"),
        *("ssl", "throwonerror", "timeout", "type", "validation"),
    }
)
"""Attributes whose values stay, in lower case."""
SECRET_WORDS: Final = frozenset({"password", "pwd", "sentinelpassword"})
"""Keywords of both libraries whose values are secrets; a keyword that no library knows can be a part of a secret."""
SQL_PLAIN: Final = frozenset(word for client in sql_clients.CLIENTS for word in client.keywords) - SECRET_WORDS
"""Keywords of SqlClient whose values stay, in lower case."""
REDIS_PLAIN: Final = frozenset(word for client in redis_clients.CLIENTS for word in client.keywords) - SECRET_WORDS
"""Options of StackExchange.Redis whose values stay, in lower case."""
STORAGE_PLAIN: Final = frozenset({"rootpath", "containername", "bucketname", "region", "accountname"})

XML_PARTS: Final = (
    r"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<!(?!--|\[)[^>]*>|</[^>]*>|<(?:[^"'<>]|"[^"]*"|'[^']*')*>|[^<]+"""
)
ATTRIBUTE: Final = r"""([^\s=<>"'/]+)(\s*=\s*)("[^"]*"|'[^']*')"""
JSON_PARTS: Final = r"""//[^\r\n]*|/\*.*?\*/|"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"/]+|\s+"""
URL_FORM: Final = r"https?://[^\s/?#@;,]+(/[^\s?#@;,]*)?([;,] *https?://[^\s/?#@;,]+(/[^\s?#@;,]*)?)*"
SERVER_FORM: Final = r"[A-Za-z0-9._:\[\]-]+"
PATH_FORM: Final = r"([A-Za-z]:\\|\\\\)[^=;]*|~?[\\/][^=;]*|"
PAIR: Final = r"""[\s;]*([^=;\s][^=;]*?)\s*=\s*("(?:[^"]|"")*"|'(?:[^']|'')*'|[^;"']*)\s*(?:;|(?![\s\S]))"""
HEX: Final = r"[0-9A-Fa-f]{16,}"
GUID: Final = r"\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?"
BASE64: Final = r"(?:[A-Za-z0-9+/]{4}){4,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
GENERATED: Final = r"\s*AutoGenerate.*|\s*"

CHECK: Final = "nlbgen nodes collect"
"""The text whose HMAC tells whether two nodes were collected with the same key."""


class UnreadableError(ValueError):
    """A text that is neither XML nor JSON as the script splits it: nothing of it is shown."""


class Protector:
    """Replaces the secrets of files under one key."""

    def __init__(self, key: str) -> None:
        self._key: Final = key.encode("utf-8")

    @property
    def check(self) -> str:
        """What tells whether two nodes were collected with the same key."""
        return self._mac(CHECK.encode()).hex()[:16]

    def _mac(self, data: bytes) -> bytes:
        return hmac.new(self._key, data, "sha256").digest()

    def _stream(self, value: str, length: int) -> bytes:
        """As many bytes as needed: the HMAC of the value, the HMAC of that, and so on."""
        block = self._mac(value.encode("utf-8"))
        found = block
        while len(found) < length:
            block = self._mac(block)
            found += block
        return found[:length]

    def pseudonym(self, value: str) -> str:
        """The value's HMAC in the form of the value; an empty value and AutoGenerate stay."""
        if re.fullmatch(GENERATED, value, re.IGNORECASE | re.DOTALL):
            return value
        if re.fullmatch(HEX, value):
            return self._stream(value, (len(value) + 1) // 2).hex().upper()[: len(value)]
        if re.fullmatch(GUID, value):
            digits = iter(self._stream(value, 16).hex())
            return "".join(char if char in "{}-" else next(digits) for char in value)
        if re.fullmatch(BASE64, value):
            length = len(value) // 4 * 3 - value.count("=")
            return base64.b64encode(self._stream(value, length)).decode()
        return "hmac-" + self._stream(value, 16).hex()

    def setting(self, name: str, value: str) -> str:
        """The value of a setting without its secrets."""
        kind = kind_of(name)
        if kind == "plain" or value.lower() in {"true", "false"}:
            return value
        if kind == "url" and re.fullmatch(URL_FORM, value, re.IGNORECASE):
            return value
        if kind == "storage":
            return value if re.fullmatch(PATH_FORM, value) else self.pairs(value, STORAGE_PLAIN)
        if kind == "sql":
            return self.pairs(value, SQL_PLAIN, SECRET_WORDS)
        return self.redis(value) if kind == "redis" else self.pseudonym(value)

    def pairs(self, text: str, plain: frozenset[str], secret: frozenset[str] | None = None) -> str:
        """A text of KEY=VALUE; without its secrets; with `secret`, other keywords can be parts of a secret."""
        result, position = "", 0
        pattern = re.compile(PAIR)
        while not re.fullmatch(r"[\s;]*", text[position:]):
            found = pattern.match(text, position)
            if found is None:
                return self.pseudonym(text)
            start, end = found.span(2)
            key = re.sub(" +", " ", found[1]).lower()
            if secret is not None and key not in plain | secret:
                return self.pseudonym(text)
            value = found[2] if key in plain else self.pseudonym(_unquoted(found[2]))
            result += text[position:start] + value + text[end : found.end()]
            position = found.end()
        return result + text[position:]

    def redis(self, text: str) -> str:
        """A text of StackExchange.Redis without its secrets."""
        parts: list[str] = []
        secret = False
        for part in text.split(","):
            key, equal, value = part.partition("=")
            if equal and key.strip().lower() in REDIS_PLAIN:
                parts.append(part)
            elif equal and key.strip().lower() in SECRET_WORDS:
                secret = True
                parts.append(f"{key}={self.pseudonym(value)}")
            elif equal:  # still an option that no library knows
                secret = True
                parts.append(f"hmac={self.pseudonym(part)}")
            else:
                plain = not part.strip() or (not secret and re.fullmatch(SERVER_FORM, part.strip()))
                secret = secret or not plain
                parts.append(part if plain else self.pseudonym(part))
        return ",".join(parts)

    def xml(self, text: str) -> str:
        """A config file without its secrets, comments and texts; every line stays a line."""
        return "".join(self._xml_part(part) for part in _split(XML_PARTS, text))

    def _xml_part(self, part: str) -> str:
        if part.startswith(("<?xml ", "</")):
            return part
        if part.startswith("<!DOCTYPE"):
            return "<!DOCTYPE" + blank(part[9:-1]) + ">"
        if not part.startswith("<") or part[1] in "!?":
            return blank(part)
        name = re.split(r"[\s/>]", part[1:], maxsplit=1)[0]
        values = {found[1]: unescape(found[3][1:-1]) for found in re.finditer(ATTRIBUTE, part)}
        return re.sub(ATTRIBUTE, lambda found: self._attribute(name, values, found), part)

    def _attribute(self, element: str, values: dict[str, str], found: re.Match[str]) -> str:
        name, quoted = found[1], found[3]
        written, value = name.lower(), unescape(quoted[1:-1])
        if written in PLAIN_ATTRIBUTES or written.startswith("xmlns"):
            return found[0]
        if element == "machineKey":
            new = self.pseudonym(value.upper() if re.fullmatch(HEX, value) else value)
        elif written == "sqlconnectionstring":
            new = self.pairs(value, SQL_PLAIN, SECRET_WORDS)
        elif written == "connectionstring":
            new = self.redis(value) if "type" in values else self.pairs(value, SQL_PLAIN, SECRET_WORDS)
        elif written == "stateconnectionstring":
            new = value if re.fullmatch(f"tcpip={SERVER_FORM}", value, re.IGNORECASE) else self.pseudonym(value)
        elif written == "value" and element == "environmentVariable":
            new = self.setting(variable(values.get("name", "")), value)
        elif written == "value":
            new = self.setting(values.get("key", ""), value)
        else:
            new = self.pseudonym(value)
        return found[0] if new == value else found[1] + found[2] + quoted[0] + _escaped(new) + quoted[0]

    def json(self, text: str) -> str:
        """A file of JSON without its secrets and comments; every line stays a line."""
        result: list[str] = []
        frames: list[_Frame] = []
        for part in _split(JSON_PARTS, text):
            top = frames[-1] if frames else None
            if part[:2] in {"//", "/*"}:
                result.append(blank(part))
                continue
            if part in {"{", "["}:
                frames.append(_Frame(part == "[", "" if top is None else top.path()))
            elif part in {"}", "]"} and frames:
                frames.pop()
            elif part == "," and top is not None:
                top.next()
            elif part[0] == '"' and top is not None and not top.is_array and not top.has_name:
                top.name, top.has_name = json_text(part), True
            elif part.strip() and part not in {":", "true", "false", "null", "}", "]", ","}:
                result.append(self._json_value("" if top is None else top.path(), part))
                continue
            result.append(part)
        return "".join(result)

    def _json_value(self, path: str, part: str) -> str:
        value = json_text(part) if part[0] == '"' else part
        new = self.setting(path, value)
        return part if new == value else json_quoted(new)


class _Frame:
    """An object or an array that is open."""

    def __init__(self, is_array: bool, parent: str) -> None:
        self.is_array: Final = is_array
        self._parent: Final = parent
        self.index = 0
        self.name = ""
        self.has_name = False

    def path(self) -> str:
        """The name of the setting for the next value."""
        own = str(self.index) if self.is_array else self.name
        return f"{self._parent}:{own}" if self._parent else own

    def next(self) -> None:
        """A comma: the next element, or the next name."""
        self.index += 1
        self.has_name = False


def kind_of(name: str) -> Kind:
    """The kind of a setting's value."""
    return next((kind for pattern, kind in KINDS if re.fullmatch(pattern, name, re.IGNORECASE | re.DOTALL)), "key")


def variable(name: str) -> str:
    """The setting that an environment variable sets."""
    prefix = re.match(r"(?:CUSTOM|SQL|SQLAZURE|MYSQL)CONNSTR_", name, re.IGNORECASE)
    own = (name[prefix.end() :] if prefix else name).replace("__", ":")
    return f"ConnectionStrings:{own}" if prefix else own


def blank(text: str) -> str:
    """Blanks for every character but line ends."""
    return re.sub(r"[^\r\n]", " ", text)


def json_text(part: str) -> str:
    """The text of a JSON string."""
    escapes = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

    def plain(found: re.Match[str]) -> str:
        return chr(int(found[1][1:], 16)) if len(found[1]) == 5 else escapes.get(found[1], found[1])

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", plain, part[1:-1], flags=re.DOTALL)


def json_quoted(text: str) -> str:
    """A text as a JSON string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _split(pattern: str, text: str) -> Iterator[str]:
    """The tokens of a text; raises UnreadableError if something is between them."""
    position = 0
    for found in re.finditer(pattern, text, re.DOTALL):
        if found.start() != position:
            break
        position = found.end()
        yield found[0]
    if position != len(text):
        raise UnreadableError("the text is not well-formed")


def _unquoted(text: str) -> str:
    quote = text[:1]
    return text[1:-1].replace(quote * 2, quote) if len(text) > 1 and quote in {'"', "'"} else text


def _escaped(text: str) -> str:
    for char, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;")):
        text = text.replace(char, escape)
    return text


FORMS: Final = {
    "xml": XML_PARTS,
    "attribute": ATTRIBUTE,
    "json": JSON_PARTS,
    "pair": PAIR,
    "url": URL_FORM,
    "server": SERVER_FORM,
    "path": PATH_FORM,
    "hex": HEX,
    "guid": GUID,
    "base64": BASE64,
    "generated": GENERATED,
}
"""The forms by their names in the script's template."""
