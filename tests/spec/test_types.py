"""The values of the spec: what each type takes, what it makes of it, and what it refuses."""

import itertools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.core.errors import SpecError
from nlbgen.core.wording import shown
from nlbgen.spec.units import Duration, Size, Version

if TYPE_CHECKING:
    from nlbgen.spec.load import Spec

KEYS = {
    "farm": "farm",
    "host": "frontend.host",
    "listen": "frontend.address",
    "node": "nodes.0.address",
    "node name": "nodes.0.name",
    "certificate": "frontend.tls.certificate",
    "ca": "frontend.tls.verify_nodes",
    "directory": "orchestrator.directory",
    "site": "orchestrator.site",
    "version": "orchestrator.version",
    "short": "balancer.timeouts.connect",
    "long": "balancer.timeouts.request",
    "optional": "balancer.slow_start",
    "size": "balancer.max_body",
    "port": "balancer.metrics_port",
    "health path": "balancer.health.path",
    "prefix": "balancer.signalr.paths.0",
    "vip": "frontend.vip.address",
    "interface": "frontend.vip.interface",
    "url": "zen.api",
    "user": "nginx.user",
    "partition": "f5.partition",
    "id": "accept.0",
}


Read = Callable[[str, object], object]


@pytest.fixture
def read(farm_data: "Callable[..., dict[str, Any]]", make_spec: "Callable[..., Spec]") -> "Read":
    """Reads one value of the spec, named as in KEYS."""

    def at(key: str, value: object) -> object:
        vip = {"address": "10.20.0.9/24", "interface": "eth0", "balancers": ["lb-1", "lb-2"], "secret": {"env": "X"}}
        balancer = {"signalr": {"paths": ["/signalr"]}, "health": {"path": "/"}}
        shared = {"vip": vip} if key in {"vip", "interface"} else {}
        data = farm_data(frontend=shared, balancer=balancer, accept=["one-node"])
        steps = [int(step) if step.isdigit() else step for step in KEYS[key].split(".")]
        inner: Any = data
        for step in steps[:-1]:
            inner = inner.setdefault(step, {}) if isinstance(step, str) else inner[step]
        inner[steps[-1]] = value
        result: object = make_spec(**data).farm
        for step in steps:
            result = result[step] if isinstance(step, int) else getattr(result, step)  # type: ignore[index]
        return result

    return at


GOOD: dict[str, list[object]] = {
    "farm": ["a", "Orchestrator-prod", "a" * 40, "x_1"],
    "host": ["localhost", "a.b", "xn--bcher-kva.example", "1a.example", "a" * 63 + ".example", "0x7f.example"],
    "listen": ["*", "10.0.0.1", "0.0.0.0", "::", "::1", "2001:db8::1"],
    "node": ["10.0.0.1", "2001:db8::1", "orch-1", "orch-1.corp.example", "fe80::1", "1.example"],
    "node name": ["1", "orch-1", "ORCH_1.corp", "a" * 40],
    "certificate": ["/a", "/a b", "/a'b\"c#d;e{f}", "/ü/漢字/😀", "/" + "a" * 1023],
    "ca": ["/etc/ssl/ca.pem", False],
    "directory": ["C:\\", "d:\\Orchestrator", "\\\\server\\share", "C:\\Program Files (x86)\\UiPath\\Ümlaut"],
    "site": ["UiPath Orchestrator", "Büro", "a" * 255, "no"],
    "version": ["2019.10.19", "19.10", "2023.4", "20.10.8.1"],
    "short": ["100ms", "1h", "60m", "3600s", "3600000ms"],
    "long": ["1s", "1000ms", "24d", "0110s"[1:]],
    "optional": ["0s", "0ms", "0d", "1h"],
    "size": ["1KB", "1024B", "100GB", "1KiB", "102400MiB"],
    "port": [1, 65535],
    "health path": ["auto", "/", "/a?b=%20&c=1,2:@+~-_."],
    "prefix": ["/a", "/a.b~c_d-e/", "//"],
    "vip": ["10.0.0.1/24", "2001:db8::1/64", "10.0.0.1/255.255.255.0"],
    "interface": ["eth0", "bond0.100", "a" * 15],
    "url": ["https://zen", "https://10.0.0.1:444/", "https://[2001:db8::1]:444"],
    "user": ["nginx", "www-data", "_x", "a" * 32],
    "partition": ["Common", "a" * 64, "A.b-c_d"],
    "id": ["one-node", "a", "f5-2"],
}
BAD: dict[str, list[object]] = {
    "farm": ["", "1a", "a b", "a.b", "a" * 41, "ä", "a\n", None, True, 1, ["a"], {"a": 1}],
    "host": [
        "",
        "a_b",
        "-a",
        "a-",
        "a..b",
        "a.",
        ".a",
        "1",
        "10.0.0.1",
        "::1",
        "a" * 64,
        "a b",
        "*",
        "a:1",
        "a\n",
        "é",
        "é" * 64,
    ],
    "listen": ["", "localhost", "10.0.0", "10.0.0.256", "010.0.0.1", "[::1]", "10.0.0.1/8", "fe80::1%eth0", 10, None],
    "node": [
        "",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "10.0.0.1:80",
        "[::1]",
        "10.0.0.1/8",
        "10.0.0.1%2",
        "a/b",
        "1.2",
        "a\n",
    ],
    "node name": ["", "-a", ".a", "a b", "a" * 41, "a;b", "a#b", "a\n"],
    "certificate": [
        "",
        "a",
        "./a",
        "~/a",
        "C:\\a",
        "/a ",
        "/a\n",
        "/a\0",
        "/a\t",
        "/\u2028",
        "/",
        "/etc/ssl/",
        "/" + "a" * 1024,
    ],
    "ca": [True, None, "", "a", 1],
    "directory": [
        "",
        "C:",
        "C:a",
        "C:/a",
        "a\\b",
        "\\\\server",
        "C:\\a*",
        "C:\\a?",
        "C:\\a|b",
        "C:\\a:b",
        "C:\\" + "a" * 246,
    ],
    "site": ["", " a", "a ", "a\nb", "\u200b", "a" * 256, None, 1],
    "version": ["", "a", "v1", "1.", ".1", "1..2", "1.2.3.4.5", "1-2", "1e3", "123456", 2019, 2019.1, True],
    "short": [
        "99ms",
        "0s",
        "61m",
        "3601s",
        "1d",
        "1 s",
        "1S",
        "1sec",
        "-1s",
        "1.5s",
        "s",
        "",
        5,
        5.0,
        True,
        None,
        "01s",
    ],
    "long": ["999ms", "0s", "25d", "577h"],
    "optional": ["-1s", "3601s", "0", 0],
    "size": ["1023B", "0MB", "101GB", "1M", "1 MB", "1mb", "1.5GB", "", 300, 1.5, "01MB", "1000000000B"],
    "port": [0, 65536, -1, "80", 80.0, True, None, "http"],
    "health path": [
        "",
        "a",
        "Auto",
        "/a b",
        "/a#b",
        "/a'b",
        '/a"b',
        "/a\\b",
        "/a{b}",
        "/a;b",
        "/ä",
        "/a\n",
        "/" + "a" * 255,
    ],
    "prefix": ["", "/", "a", "/a?b", "/a%20b", "/a b", "/a(b)", "/a$", "/a\n"],
    "vip": ["10.0.0.1", "10.0.0.1/33", "::1/129", "a/24", "/24", ""],
    "interface": ["", "eth 0", "a" * 16, "eth0;", "-eth0", "eth0/1"],
    "url": [
        "http://zen",
        "zen",
        "https://zen/path",
        "https://a:b@zen",
        "https://zen:123456",
        "https://ze n",
        "https://zen?x",
        "",
    ],
    "user": ["", "Root", "a b", "a;b", "a" * 33, "-a"],
    "partition": ["", "/Common", "a b", "a" * 65, "1a"],
    "id": ["", "One", "a_b", "-a", "a-", "a--b", "a b"],
}


@pytest.mark.parametrize("key, value", [(key, value) for key, values in GOOD.items() for value in values])
def test_type_accepts_valid_values(key: str, value: object, read: "Read") -> None:
    result = read(key, value)
    if key in {"certificate", "ca", "directory", "site", "farm", "health path", "prefix", "node name", "id", "port"}:
        assert result == value


@pytest.mark.parametrize("key, value", [(key, value) for key, values in BAD.items() for value in values])
def test_type_refuses_invalid_values(key: str, value: object, read: "Read") -> None:
    with pytest.raises(SpecError) as refused:
        read(key, value)
    path = KEYS[key].replace(".0", "[0]")
    assert {problem.path for problem in refused.value.problems if problem.severity == "error"} == {path}
    (problem,) = (problem for problem in refused.value.problems if problem.severity == "error")
    assert "\n" not in problem.message
    assert not problem.id
    assert len(problem.message) < 300


def test_every_kind_has_valid_and_invalid_cases() -> None:
    assert KEYS.keys() == GOOD.keys() == BAD.keys()


@pytest.mark.parametrize(
    "key, value, made",
    [
        ("host", "Orch.Corp.Example", "orch.corp.example"),
        ("node", "ORCH-1", "orch-1"),
        ("node", "2001:DB8:0::0:1", "2001:db8::1"),
        ("listen", "0:0::1", "::1"),
        ("url", "https://zen:444/", "https://zen:444"),
        ("vip", "10.0.0.1/255.255.255.0", "10.0.0.1/24"),
    ],
)
def test_type_returns_the_canonical_form(key: str, value: str, made: str, read: "Read") -> None:
    assert read(key, value) == made


@pytest.mark.parametrize(
    "text, milliseconds, shown_as, seconds",
    [
        ("0s", 0, "0s", 0),
        ("1ms", 1, "1ms", 1),
        ("1500ms", 1500, "1500ms", 2),
        ("60s", 60_000, "1m", 60),
        ("90s", 90_000, "90s", 90),
        ("24h", 86_400_000, "1d", 86_400),
        ("110001ms", 110_001, "110001ms", 111),
    ],
)
def test_durations(text: str, milliseconds: int, shown_as: str, seconds: int) -> None:
    duration = Duration.of(text)
    assert (duration, str(duration), duration.seconds) == (milliseconds, shown_as, seconds)


@given(st.integers(0, 10**9), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_duration_round_trips_as_text(number: int, unit: str) -> None:
    text = f"{number % 10**6}{unit}"
    assert Duration.of(str(Duration.of(text))) == Duration.of(text)


@pytest.mark.parametrize(
    "text, size, shown_as",
    [
        ("1KB", 1024, "1KB"),
        ("1024KB", 1024**2, "1MB"),
        ("1025B", 1025, "1025B"),
        ("1GiB", 1024**3, "1GB"),
        ("0B", 0, "0B"),
    ],
)
def test_sizes(text: str, size: int, shown_as: str) -> None:
    assert (Size.of(text), str(Size.of(text))) == (size, shown_as)


def test_versions_compare_by_number() -> None:
    ordered = ["0", "1.18", "1.22", "1.22.1", "2", "2.4", "2.10", "2019.4", "2019.10", "2019.10.19"]
    versions = [Version(text) for text in ordered]
    assert sorted(versions, key=lambda version: version) == versions
    for (left, low), (right, high) in itertools.combinations(enumerate(versions), 2):
        assert left < right
        assert low < high
        assert high > low
        assert low != high
    assert Version("2.6") == Version("2.6.0") == Version("2.6.0.0")
    assert len({Version("2.6"), Version("2.6.0"), Version("2.06")}) == 1
    assert str(Version("2.60")) == "2.60"
    assert repr(Version("2.6")) == 'Version("2.6")'
    assert Version("2.6") != "2.6"


@pytest.mark.parametrize(
    "value, text",
    [
        ("a", '"a"'),
        ("a\nb", '"a\\nb"'),
        ("\x1b[31m", '"\\x1b[31m"'),
        ("a" * 61, f'"{"a" * 60}..."'),
        ("ü", '"ü"'),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ({}, "a mapping"),
        ([], "a list"),
        (1.5, "1.5"),
    ],
)
def test_values_are_shown_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text


@given(st.text())
def test_shown_values_are_printable(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 65


@given(st.text(max_size=40))
def test_texts_of_paths_are_printable(text: str) -> None:
    from nlbgen.spec.load import loads

    data = {
        "farm": "f",
        "frontend": {"host": "a.b", "tls": {"key": f"/{text}"}},
        "nodes": [{"name": "a", "address": "b"}],
    }
    try:
        spec = loads(json.dumps(data, ensure_ascii=False))
    except SpecError:
        return
    assert spec.farm.frontend.tls.key.isprintable()
