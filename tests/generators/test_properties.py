"""What holds for every farm and every text, tried with many generated ones.

The examples are the same in every run; HYPOTHESIS_PROFILE=search tries new ones, and more of them.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nlbgen.core.errors import SpecError, UnsupportedError
from nlbgen.generators import validate
from nlbgen.generators.base import Generator, Site, all_generators, audit, generator, known_ids, render
from nlbgen.net.loopback import free_ports
from nlbgen.spec import document
from nlbgen.spec.load import Spec, check, loads
from nlbgen.spec.model import Farm

if TYPE_CHECKING:
    from tests.conftest import Program, Programs

EXAMPLE = (Path(__file__).parents[2] / "examples" / "farm.yaml").read_text(encoding="utf-8")
EVERY_ID = sorted(known_ids())


def examples(number: int) -> Callable[[Any], Any]:
    """So many examples, and four times as many in a search."""
    default = settings.default
    return settings(max_examples=number if default is not None and default.derandomize else 4 * number)


def as_yaml(data: object) -> str:
    """Data as a text that YAML reads back as the same data."""
    return json.dumps(data, ensure_ascii=False)


# Farms that are right but odd.

NASTY = (
    *("'", '"', "\\", " ", "  ", "#", " # ", ";", "{", "}", "$", "${HOME}", "%", "%[src]", "`id`", "|", "&", "<", ">"),
    *(
        "(",
        ")",
        "[",
        "]",
        "*",
        "?",
        "~",
        "!",
        "=",
        ",",
        ":",
        "@",
        "^",
        "..",
        "//",
        "\\n",
        "\\0",
        "'\\''",
        '"; server x;',
    ),
    *("server evil 10.0.0.1:1", "ü", "漢字", "😀", "é", "a" * 60, "default", "if", "unless", "."),
)
ODD_TEXTS = st.lists(st.sampled_from(NASTY), min_size=1, max_size=8).map("".join).map(str.strip).filter(bool)
SITES = ODD_TEXTS.map(lambda text: re.sub(r'[?:@&=,/\\\\<>"*|%$`]', "x", text))
"""Names of sites: IIS refuses some characters."""
PATHS = ODD_TEXTS.map(lambda text: re.sub(r"[\s/]+\Z", "", f"/{text}"[:1024]) or "/x")
LABELS = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join).filter(lambda name: re.search("[A-Za-z-]", name))
IPV4 = st.tuples(st.integers(1, 223), st.integers(0, 255), st.integers(0, 255), st.integers(1, 254)).map(
    lambda parts: ".".join(map(str, parts))
)
IPV6 = st.integers(2, 0xFFFF).map(lambda part: f"2001:db8::{part:x}")
PORTS = st.integers(1, 65535)
URL_PATHS = st.text("abcXYZ019._~%/?&=+:@,-", max_size=40).map("/".__add__)
PREFIXES = st.text("abcXYZ019._~/-", min_size=1, max_size=40).map("/".__add__)
SHORT_TIMES = st.sampled_from(["100ms", "101ms", "1500ms", "1s", "90s", "2m", "1h"])
LONG_TIMES = st.sampled_from(["1s", "1001ms", "90s", "5m", "2h", "24d"])
NO_DEVICE = r"(?!(?i:con|prn|aux|nul|(?:com|lpt)[0-9])(?:\.|$))"
NAMES = st.from_regex(rf"{NO_DEVICE}[A-Za-z0-9](?:[A-Za-z0-9_.-]{{0,38}}[A-Za-z0-9_-])?", fullmatch=True)
STATES = st.sampled_from(["up", "up", "up", "drain", "down", "backup"])


def keys(
    required: dict[str, Any] | None = None, **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required or {}, optional=optional)


NODES = st.lists(
    keys(
        {"name": NAMES, "address": st.one_of(IPV4, IPV6, HOSTS)},
        port=PORTS,
        weight=st.integers(1, 256),
        state=STATES,
    ),
    min_size=1,
    max_size=12,
    unique_by=(lambda node: node["name"].lower(), lambda node: node["address"].lower()),
)
TLS = keys(
    mode=st.sampled_from(["bridge", "terminate", "passthrough", "none"]),
    profile=st.sampled_from(["modern", "intermediate"]),
    certificate=PATHS,
    key=PATHS,
    verify_nodes=st.one_of(PATHS, st.just(False)),
    hsts=st.booleans(),
)
FRONTENDS = keys(
    {"host": HOSTS},
    aliases=st.lists(HOSTS, max_size=5),
    address=st.one_of(st.just("*"), IPV4, IPV6),
    port=PORTS,
    tls=TLS,
)
BALANCERS = keys(
    algorithm=st.sampled_from(["round-robin", "least-connections", "source"]),
    affinity=st.sampled_from(["none", "cookie", "source", "signalr"]),
    health=keys(
        path=URL_PATHS,
        expect=st.integers(200, 599),
        interval=SHORT_TIMES,
        timeout=SHORT_TIMES,
        rise=st.integers(1, 100),
        fall=st.integers(1, 100),
    ),
    signalr=keys(
        paths=st.lists(PREFIXES, min_size=1, max_size=16), idle_timeout=st.sampled_from(["110001ms", "2h", "24d"])
    ),
    timeouts=keys(connect=SHORT_TIMES, request=LONG_TIMES, queue=SHORT_TIMES, reload=LONG_TIMES),
    limits=st.sampled_from([{}, {"connections": 100, "open_files": 1224}, {"requests_per_node": 1_000_000}]),
    metrics_port=PORTS,
    max_body=st.sampled_from(["1KB", "1025B", "300MB", "3GB", "100GB"]),
    slow_start=st.sampled_from(["0s", "1ms", "30s", "1h"]),
)


@st.composite
def farms(draw: st.DrawFn) -> Spec:
    """A farm that the rules pass, for the programs' versions that are installed on Debian 12."""
    data = draw(
        keys(
            {
                "farm": st.from_regex(NO_DEVICE + r"[A-Za-z][A-Za-z0-9_-]{0,39}", fullmatch=True),
                "frontend": FRONTENDS,
                "nodes": NODES,
                "accept": st.sampled_from([EVERY_ID, EVERY_ID, EVERY_ID, []]),
            },
            orchestrator=keys(
                version=st.sampled_from(["2018.1", "2018.4", "2019.10.19", "2020.10", "23.4"]), site=SITES
            ),
            balancer=BALANCERS,
            nginx=keys(user=st.sampled_from(["www-data", "nginx"])),
        )
    )
    data["stores"] = {"signalr": "redis", "redis": {"host": "redis.corp.example", "port": 6379}}
    try:
        return loads(as_yaml(data))
    except SpecError as error:
        # The types of the values are right; only a rule about several of them may have been broken.
        assert all(problem.id for problem in error.problems), error
        return draw(farms())


@pytest.mark.slow
@pytest.mark.haproxy
@pytest.mark.nginx
@examples(120)
@given(farms())
def test_any_farm_is_accepted_by_the_real_programs_or_refused(spec: Spec) -> None:
    for vendor in all_generators():
        try:
            verdict = validate.validate(vendor, spec)  # raises where the program refuses or warns
        except UnsupportedError as error:
            event(f"{vendor.name} refused")
            assert all(problem.hint for problem in error.problems)
            if vendor.program:
                assert all(problem.id or "cannot quote" in problem.message for problem in error.problems)
            continue
        program = validate.installed(vendor) if vendor.program else None
        if program is None:
            assert verdict.checked
        elif program.version.parts[:2] == vendor.version(spec.farm).parts[:2]:
            assert verdict.checked or "module is not installed" in verdict.text, verdict


@pytest.mark.slow
@pytest.mark.parametrize(
    "series",
    [
        "haproxy-2.6",
        "haproxy-3.0",
        "haproxy-3.2",
        "haproxy-3.4",
        "nginx-1.18",
        "nginx-1.22",
        "nginx-1.26",
        "nginx-1.30",
    ],
)
@examples(25)
@given(spec=farms())
@pytest.mark.no_cover  # other tests reach the same lines
def test_any_farm_is_accepted_by_the_program_of_its_version(series: str, spec: Spec, programs: "Programs") -> None:
    program = programs.named(series)
    wanted = farm_for(spec.farm, program)
    with tempfile.TemporaryDirectory() as folder:
        try:
            complaint = programs.complaint(program, spec._replace(farm=wanted), Path(folder))
        except UnsupportedError:
            event("refused")
            return
    assert complaint is None, f"{program}: {complaint}"


def farm_for(farm: Farm, program: "Program") -> Farm:
    """The farm as it would be written for this program and its TLS library."""
    balancer = getattr(farm, program.vendor).replace(version=program.version, openssl=program.openssl)
    return farm.replace(**{program.vendor: balancer})


@examples(150)
@given(farms())
def test_any_farm_renders_identically_twice_or_is_refused(spec: Spec) -> None:
    again = check(document.parse(spec.name, as_yaml(spec.document.data)))
    assert again.digest == spec.digest
    audit(spec)
    for vendor in all_generators():
        try:
            files = render(vendor, spec)
        except UnsupportedError as error:
            with pytest.raises(UnsupportedError) as refused:
                render(vendor, again)
            assert str(refused.value) == str(error)
        else:
            assert render(vendor, again) == files
            assert [file.main for file in files].count(True) == 1


# Texts that are anything at all.

JSON_LIKE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=30)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)
YAML_WORDS = (
    *(
        "farm",
        ":",
        " ",
        "  ",
        "\n",
        "\n  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        '"',
        "'",
        "&a ",
        "*a",
        "<<",
        "? ",
        "| ",
        "> ",
    ),
    *(
        "!!int ",
        "!x ",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "\t",
        "0443",
        "12:30",
        "no",
        "1e3",
        ".inf",
        "2019.10",
        "=",
    ),
    *(
        "nodes",
        "frontend:",
        "host:",
        "version",
        "accept:",
        "tls",
        "\\",
        "\\x41",
        "\0",
        "\x07",
        "\u2028",
        "\ufeff",
        "😀",
    ),
)
YAML_TEXTS = st.lists(st.one_of(st.sampled_from(YAML_WORDS), st.text(max_size=3)), max_size=40).map("".join)


@st.composite
def broken_examples(draw: st.DrawFn) -> str:
    """The example farm with parts cut out, doubled or put in."""
    text = EXAMPLE
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + draw(st.one_of(YAML_TEXTS, st.just(text[start:end] * 2))) + text[end:]
    return text


def places(data: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value in data."""
    if path:
        yield path
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from places(value, (*path, key))


@st.composite
def farms_with_something_else(draw: st.DrawFn) -> str:
    """The example farm as data, with some values replaced by anything."""
    data = document.parse("", EXAMPLE).data
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(data))))
        inner = data
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = draw(JSON_LIKE)
    return as_yaml(data)


def ends_in_a_spec_or_in_placed_problems(text: str) -> None:
    try:
        spec = loads(text)
    except SpecError as error:
        lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029")
        for problem in error.problems:
            assert problem.message
            assert 1 <= problem.location.line <= lines + 2
            assert problem.location.column >= 1
            assert "\n" not in problem.message
        assert sum(problem.severity == "error" for problem in error.problems) >= 1
    else:
        audit(spec)


@examples(500)
@given(st.one_of(YAML_TEXTS, broken_examples(), farms_with_something_else(), JSON_LIKE.map(as_yaml), st.text()))
def test_any_text_loads_or_is_refused_with_locations(text: str) -> None:
    ends_in_a_spec_or_in_placed_problems(text)


@examples(300)
@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-16")), st.text().map(str.encode)))
def test_any_bytes_decode_or_are_refused_with_one_problem(raw: bytes) -> None:
    try:
        text = document.decode("farm.yaml", raw)
    except SpecError as error:
        (problem,) = error.problems
        assert problem.location.line >= 1
        assert problem.hint
    else:
        ends_in_a_spec_or_in_placed_problems(text)


# Texts that would like to be more than one word of a configuration.


def haproxy_lines(text: str) -> Iterator[list[str]]:
    """The words of each line that has any."""
    return (words for line in text.split("\n") if (words := list(haproxy_words(line))))


def haproxy_words(line: str) -> Iterator[str]:
    """The words of a line as HAProxy splits them (its manual, "Quoting and escaping"); variables are not expected."""
    parts = re.compile(
        r"""(?P<blank>[ \t]+) | (?P<comment>\#.*)
            | '(?P<strong>[^']*)' | "(?P<weak>[^"\\$]*)" | (?P<bare>[^\\'" \t#]+)""",
        re.VERBOSE,
    )
    word: str | None = None
    position = 0
    while position < len(line):
        if line[position] == "\\" and position + 1 < len(line):  # only between quoted parts
            word = (word or "") + line[position + 1]
            position += 2
            continue
        found = parts.match(line, position)
        assert found, f"{line[position:]!r} is no text for HAProxy in {line!r}"
        position = found.end()
        if found["comment"] is not None:
            break
        if found["blank"] is None:
            word = (word or "") + found[found.lastgroup or 0]
        elif word is not None:
            yield word
            word = None
    if word is not None:
        yield word


def nginx_words(text: str) -> Iterator[tuple[str, bool]]:
    """The words of a configuration as NGINX splits them (ngx_conf_read_token), and whether each was quoted."""
    position = 0
    while position < len(text):
        char = text[position]
        if char in " \t\r\n":
            position += 1
        elif char == "#":
            position = text.index("\n", position)
        elif char in ";{}":
            yield char, False
            position += 1
        elif char in "'\"":
            found = re.compile(rf"{char}((?:[^{char}\\]|\\.)*){char}(?=[\s;{{)])", re.DOTALL).match(text, position)
            assert found, f"a quoted word goes wrong in {text[position : position + 80]!r}"
            yield re.sub(r"\\([\"'\\])", r"\1", found[1]), True
            position = found.end()
        else:
            # `${` belongs to a word; the configurations have none.
            found = re.compile(r"(?:[^\s;{\\]|\\.)+").match(text, position)
            assert found
            yield found[0], False
            position = found.end()


def nginx_directives(text: str) -> Iterator[list[str]]:
    words: list[str] = []
    depth = 0
    for word, quoted in nginx_words(text):
        if quoted or word not in {";", "{", "}"}:
            words.append(word)
            continue
        depth += {"{": 1, "}": -1, ";": 0}[word]
        assert depth >= 0
        assert bool(words) == (word != "}"), f"{word} after {words}"
        yield [*words, word]
        words = []
    assert depth == 0
    assert not words


TOKENIZED = [generator("haproxy"), generator("nginx")]
DIRECTIVES: dict[str, Callable[[str], Iterator[list[str]]]] = {"haproxy": haproxy_lines, "nginx": nginx_directives}


def directives(vendor: Generator, spec: Spec) -> list[list[str]]:
    main = next(file for file in render(vendor, spec) if file.main)
    return list(DIRECTIVES[vendor.name](main.content.decode("utf-8")))


def skeleton(lines: list[list[str]]) -> list[tuple[str, int]]:
    """The name of each directive, and how many words it has; what stands for a node in a cookie is derived."""
    return [(re.sub(r"^[0-9a-f]{8}$", "TAG", words[0]), len(words)) for words in lines]


TEXT_FIELDS: tuple[tuple[str | int, ...], ...] = (
    ("farm",),
    ("orchestrator", "version"),
    ("orchestrator", "site"),
    ("orchestrator", "directory"),
    ("frontend", "host"),
    ("frontend", "aliases", 0),
    ("frontend", "address"),
    ("frontend", "tls", "certificate"),
    ("frontend", "tls", "key"),
    ("frontend", "tls", "verify_nodes"),
    ("nodes", 0, "name"),
    ("nodes", 0, "address"),
    ("nodes", 0, "config"),
    ("balancer", "health", "path"),
    ("balancer", "signalr", "paths", 0),
    ("stores", "database", "server"),
    ("stores", "database", "name"),
    ("stores", "redis", "host"),
    ("keys", "from"),
    ("nginx", "user"),
    ("haproxy", "version"),
    ("accept", 0),
)
NUMBERS = {("orchestrator", "version"), ("frontend", "address"), ("haproxy", "version")}
"""These decide what is rendered, and nothing but numbers gets through."""
PLAIN = {
    "farm": "plain",
    "orchestrator": {"version": "2019.4", "site": "plain", "directory": "C:\\plain"},
    "frontend": {
        "host": "plain.example",
        "aliases": ["alias.example"],
        "address": "10.0.0.1",
        "tls": {"certificate": "/plain/certificate", "key": "/plain/key", "verify_nodes": "/plain/ca"},
    },
    "nodes": [
        {"name": "plain", "address": "10.0.0.2", "config": "plain"},
        {"name": "other", "address": "10.0.0.3"},
    ],
    "balancer": {"health": {"path": "/plain"}, "signalr": {"paths": ["/plain"]}, "affinity": "cookie"},
    "stores": {
        "database": {"server": "plain", "name": "plain"},
        "signalr": "redis",
        "redis": {"host": "redis.example", "port": 6379},
    },
    "keys": {"from": "plain"},
    "nginx": {"user": "plain"},
    "haproxy": {"version": "2.6"},
    "accept": EVERY_ID,
}
PREFIX = {"certificate": "/", "key": "/", "verify_nodes": "/", "path": "/", "directory": "C:\\"}
INJECTED = st.one_of(
    ODD_TEXTS,
    st.text(max_size=20),
    st.sampled_from(["\n", "\r\n", "\0", "\u2028", "\x85"]).flatmap(
        lambda end: ODD_TEXTS.map(lambda text: f"x{end}    server evil 10.6.6.6:1 {text}")
    ),
    st.sampled_from(
        ["x; load_module evil.so;", "x' # ", 'x" {', "x } server { listen 1;", "x\\", "x '", "$host", "%[env(x)]"]
    ),
)


@pytest.mark.parametrize("field", TEXT_FIELDS, ids=lambda field: ".".join(map(str, field)))
@examples(40)
@given(text=INJECTED)
def test_any_text_stays_within_its_quoted_word(field: tuple[str | int, ...], text: str) -> None:
    text = PREFIX.get(str(field[-1]), "/" if "paths" in field else "") + text
    data = json.loads(json.dumps(PLAIN))
    inner = data
    for step in field[:-1]:
        inner = inner[step]
    inner[field[-1]] = text
    try:
        spec = loads(as_yaml(data))
    except SpecError:
        event("refused by the spec")
        return
    if field in NUMBERS:
        assert re.fullmatch(r"[0-9A-Fa-f:.]+|\*", text)
        return
    named = bool(re.search("[A-Za-z-]", spec.farm.nodes[0].address)) and ":" not in spec.farm.nodes[0].address
    plain = loads(as_yaml(PLAIN).replace("10.0.0.2", "plain-node") if named else as_yaml(PLAIN))
    for vendor in TOKENIZED:
        try:
            made = directives(vendor, spec)
        except UnsupportedError as error:
            assert any("cannot quote" in problem.message or problem.id for problem in error.problems)
            continue
        assert skeleton(made) == skeleton(directives(vendor, plain))
        if field[-1] in {"certificate", "verify_nodes"}:
            value = getattr(spec.farm.frontend.tls, str(field[-1]))  # YAML folds some line ends to blanks
            assert any(value in words for words in made), f"{value!r} is no word of the configuration"


@pytest.mark.slow
@pytest.mark.haproxy
@pytest.mark.nginx
@examples(40)
@given(name=ODD_TEXTS)
def test_files_of_any_name_are_opened_by_the_real_programs(name: str) -> None:
    """The certificate, key and CA really have the odd name here; `nlbgen render` checks with plain ones."""
    with tempfile.TemporaryDirectory() as folder, free_ports(3) as (port, other, http):
        odd = Path(folder) / f"odd{name[:50].replace('/', '-')}.pem"
        data = json.loads(json.dumps(PLAIN))
        validate._write_certificate(odd, "plain.example")
        tls = {"certificate": str(odd), "key": f"{odd}.key", "verify_nodes": str(odd)}
        data["frontend"] |= {"tls": tls, "address": "127.0.0.1", "port": port}
        data["balancer"]["metrics_port"] = other
        data["nginx"] = {}
        spec = loads(as_yaml(data))
        for vendor in TOKENIZED:
            try:
                complaint = real_complaint(vendor, spec, Site(folder, http_port=http))
            except UnsupportedError:
                assert (vendor.name, "$" in name) == ("nginx", True)
                continue
            assert complaint is None, complaint


def real_complaint(vendor: Generator, spec: Spec, site: Site) -> str | None:
    program = validate.installed(vendor)
    assert program
    main = next(file for file in render(vendor, spec, site) if file.main)
    path = Path(site.directory) / main.path
    path.write_bytes(main.content)
    status, said = validate._output([program.path, *vendor.check_command(path, program.version)])
    return said if status or re.search(r"\[(?:warn|alert|emerg)", said, re.IGNORECASE) else None
